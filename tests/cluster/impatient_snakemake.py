"""Snakemake that asks SLURM for its jobs every second, and not at intervals that grow."""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

if __name__ == "__main__":
    Executor.next_seconds_between_status_checks = property(
        lambda executor: 1, lambda executor, seconds: None
    )
    sys.exit(main())
