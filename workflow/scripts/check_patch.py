"""Refuse a patch that does not fit into the images."""

from maskmake.data.fingerprint import check_patch
from maskmake.runtime.files import read_csv
from maskmake.runtime.log import job

with job(snakemake):
    check_patch(
        int(snakemake.wildcards.patch),
        read_csv(snakemake.input.index),
        read_csv(snakemake.input.splits),
    )
