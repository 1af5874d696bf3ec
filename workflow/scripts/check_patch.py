"""Refuse a patch that does not fit into the images."""

from maskmake.files import read_csv
from maskmake.log import job
from maskmake.plan import check_patch

with job(snakemake):
    check_patch(
        int(snakemake.wildcards.patch),
        read_csv(snakemake.input.index),
        read_csv(snakemake.input.splits),
    )
