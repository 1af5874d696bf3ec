"""Put the images and labels that Snakemake has fetched from a storage into two folders."""

from maskmake.data.retrieval import copy_images
from maskmake.runtime.log import job

with job(snakemake):
    for kind in ("images", "labels"):
        checksums = [checksum for _, checksum in snakemake.params.contents[kind]]
        copy_images(list(snakemake.input[kind]), snakemake.output[kind], checksums)
