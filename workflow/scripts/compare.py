"""Put the scores of all runs into one table, and say of every two recipes which is better."""

from itertools import starmap

from maskmake.runtime.files import write_csv
from maskmake.runtime.log import job, logger
from maskmake.scores.comparison import compare_runs, read_scored_run

with job(snakemake):
    files = zip(
        snakemake.input.metrics,
        snakemake.input.per_image,
        snakemake.input.resamples,
        snakemake.input.networks,
        strict=True,
    )
    runs = zip(snakemake.params.runs, starmap(read_scored_run, files), strict=True)
    comparison = compare_runs(
        dict(runs),
        snakemake.params.recipes,
        snakemake.params.compare["smallest_difference"],
    )
    write_csv(snakemake.output.table, comparison.table)
    write_csv(snakemake.output.pairs, comparison.pairs)
    logger.info("runs, the best first: %s", ", ".join(comparison.table["run"]))
