"""Fail if a new image could not be used, after the list and the page of the others are there."""

from maskmake.predict.refused import check_refused
from maskmake.runtime.files import read_csv
from maskmake.runtime.log import job

with job(snakemake):
    check_refused(
        snakemake.input.refused,
        len(read_csv(snakemake.input.review)),
        snakemake.input.review,
        snakemake.params.attempts,
        snakemake.output.done,
    )
