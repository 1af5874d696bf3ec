"""Write the pixel store: labels as 0 and 1, images in one pixel type."""

from maskmake.data.pixel_store import build_store
from maskmake.runtime.files import read_csv
from maskmake.runtime.log import job

with job(snakemake):
    build_store(
        read_csv(snakemake.input.manifest),
        snakemake.params.label_threshold,
        snakemake.output.images,
        snakemake.output.labels,
        snakemake.output.index,
    )
