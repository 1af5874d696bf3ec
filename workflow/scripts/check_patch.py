"""Refuse a patch that does not fit into the images."""

from maskmake.data.fingerprint import check_patch
from maskmake.data.tables import read_index, read_splits
from maskmake.runtime.log import job, logger

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    check_patch(int(snakemake.wildcards.patch), index, splits)
    logger.info("a patch of %s pixels fits into every image", snakemake.wildcards.patch)
