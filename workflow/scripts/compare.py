"""Put the scores of all runs into one table, and say of every two which is better."""

from maskmake.runtime.files import read_csv, read_json, write_csv
from maskmake.runtime.log import job
from maskmake.scores.comparison import ScoredRun, compare_runs

with job(snakemake):
    files = zip(
        map(read_json, snakemake.input.metrics),
        map(read_csv, snakemake.input.per_image),
        map(read_csv, snakemake.input.resamples),
        strict=True,
    )
    runs = zip(snakemake.params.runs, map(ScoredRun._make, files), strict=True)
    comparison = compare_runs(dict(runs))
    write_csv(snakemake.output.table, comparison.table)
    write_csv(snakemake.output.pairs, comparison.pairs)
