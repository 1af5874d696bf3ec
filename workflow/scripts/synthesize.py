"""Make the embedded data set."""

from maskmake.log import job
from maskmake.synthesis import write_dataset

with job(snakemake):
    settings = snakemake.params.synthesis
    write_dataset(
        snakemake.params.images,
        snakemake.params.labels,
        settings["images"],
        settings["size"],
        settings["seed"],
    )
