"""Fetch the ImageNet weights of an encoder from the address that its library names."""

from pathlib import Path

import requests

from maskmake.data.download import fetch
from maskmake.network.device import select_device
from maskmake.runtime.log import job, logger

with job(snakemake):
    path = Path(snakemake.output.weights)
    select_device("tensorflow", 0, snakemake.log[0])
    from maskmake.network.networks import load_imagenet_encoder

    def fetch_here(address: str, checksum: str) -> Path:
        logger.info("Downloading %s", address)
        with requests.Session() as session:
            fetch(session, address, checksum, path, f"or put the file by hand at {path}")
        return path

    load_imagenet_encoder(snakemake.wildcards.encoder, fetch_here)
