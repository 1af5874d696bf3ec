"""Say which steps would run again for a target, and what has changed.

    ./maskmake why [target ...] config/mine.yaml [options of snakemake]

Without ./maskmake it takes what ``snakemake`` takes, and runs nothing.
"""

import contextlib
import io
import logging
import sys
from pathlib import Path

from snakemake.cli import main as snakemake
from snakemake_interface_logger_plugins.common import LogEvent

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from maskmake.snakefile import internals, job_changes
from maskmake.snakefile.rerun_reasons import describe_reasons


class Jobs(logging.Handler):
    """Puts into words what Snakemake says of each job that it would run."""

    def __init__(self):
        super().__init__()
        self.words = []

    def emit(self, record):
        if getattr(record, "event", None) == LogEvent.JOB_INFO and record.output:
            values = ", ".join(f"{key} {value}" for key, value in (record.wildcards or {}).items())
            self.words.append(f"{record.rule_name}{f' ({values})' if values else ''}:")
            # Now, because Snakemake is in the folder of the results only while it runs.
            changes = job_changes.changes(record.jobid)
            causes = describe_reasons(record.rule_name, record.output, record.reason, changes)
            self.words += [f"  {cause}" for cause in causes]


internals.shorten_start()
jobs, said = Jobs(), io.StringIO()
logging.getLogger("snakemake").addHandler(jobs)  # Snakemake removes those of its own logger
try:
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        snakemake(["--dry-run", *sys.argv[1:]])
except SystemExit as end:
    if end.code:
        print(said.getvalue(), file=sys.stderr)
        raise
print("\n".join(jobs.words) or "Nothing would run again.")
