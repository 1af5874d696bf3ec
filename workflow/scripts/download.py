"""Fetch the images and labels of a public data set."""

from maskmake.download import download
from maskmake.log import job
from maskmake.sources import read_checksums

with job(snakemake):
    source = snakemake.params.download
    download(source["url"], read_checksums(source["checksums"]), snakemake.params.folder)
