"""Put the images and labels that Snakemake has fetched from a storage into two folders."""

from maskmake.data.retrieval import gather
from maskmake.runtime.log import job

with job(snakemake):
    for kind in ("images", "labels"):
        gather(list(snakemake.input[kind]), snakemake.output[kind])
