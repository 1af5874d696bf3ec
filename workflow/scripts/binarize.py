"""Write the pixel store: labels as 0 and 1, images in one pixel type."""

from maskmake.data.pixel_store import build_store
from maskmake.data.tables import read_manifest
from maskmake.data.thumbnails import write_thumbnails
from maskmake.runtime.log import job, logger

with job(snakemake):
    manifest = read_manifest(snakemake.input.manifest, snakemake.input.audit)
    thumbnails = build_store(
        manifest,
        snakemake.output.images,
        snakemake.output.labels,
        snakemake.output.index,
        snakemake.params.dataset["channels"],
        snakemake.params.dataset["range"],
    )
    write_thumbnails(snakemake.output.thumbnails, thumbnails)
    logger.info("%d images and their labels stored", len(manifest))
