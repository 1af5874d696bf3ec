"""Fetch the images and labels of a public data set."""

from pathlib import Path

from maskmake.data.addresses import whole_address
from maskmake.data.download import download, move_files
from maskmake.runtime.log import job
from maskmake.snakefile.locations import read_checksums

with job(snakemake):
    source = snakemake.params.download
    folder = Path(snakemake.output.images[0]).parents[1]
    checksums = read_checksums(source["checksums"])
    # Not among the outputs, which Snakemake removes when a job fails and before it starts again.
    fetched = folder.with_name(".download")
    download(whole_address(source["url"]), checksums, fetched)
    move_files(checksums, fetched, folder)
