"""Make the embedded data set."""

from pathlib import Path

from maskmake.data.synthesis import write_dataset
from maskmake.runtime.log import job, logger

with job(snakemake):
    settings = snakemake.params.synthesis
    write_dataset(
        Path(snakemake.output.images[0]).parent,
        Path(snakemake.output.labels[0]).parent,
        settings["images"],
        settings["size"],
        settings["seed"],
        settings["kind"],
        settings["difficulty"],
    )
    logger.info("%d images and labels of %s drawn", settings["images"], settings["kind"])
