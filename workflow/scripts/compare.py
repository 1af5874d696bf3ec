"""Put the scores of all runs into one table."""

from maskmake.comparison import compare_runs
from maskmake.files import read_json, write_csv
from maskmake.log import job

with job(snakemake):
    metrics = zip(snakemake.params.runs, map(read_json, snakemake.input), strict=True)
    write_csv(snakemake.output.table, compare_runs(dict(metrics)))
