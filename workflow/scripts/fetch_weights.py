"""Fetch the ImageNet weights of an encoder from the address that its library names."""

from functools import partial
from pathlib import Path

from maskmake.data.download import fetch_file
from maskmake.network.device import select_device
from maskmake.runtime.log import job, logger

with job(snakemake):
    select_device("tensorflow", 0, snakemake.log[0])
    from maskmake.network.networks import load_imagenet_encoder

    fetch = partial(fetch_file, Path(snakemake.output.weights))
    load_imagenet_encoder(snakemake.wildcards.encoder, fetch)
    logger.info("the weights fit: %s", snakemake.output.weights)
