"""Fetch the images and labels of a public data set."""

from pathlib import Path

from maskmake.data.download import download
from maskmake.runtime.log import job
from maskmake.snakefile.locations import read_checksums

with job(snakemake):
    source = snakemake.params.download
    folder = Path(snakemake.output.images[0]).parents[1]
    download(source["url"], read_checksums(source["checksums"]), folder)
