"""Put the images and labels that Snakemake has fetched from a storage into two folders."""

from maskmake.log import job
from maskmake.retrieval import gather

with job(snakemake):
    for kind in ("images", "labels"):
        gather(list(snakemake.input[kind]), snakemake.output[kind])
