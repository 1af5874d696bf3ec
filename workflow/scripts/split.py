"""Give every image its role and its fold."""

from maskmake.data.splits import split_images
from maskmake.data.tables import read_manifest
from maskmake.runtime.files import write_csv
from maskmake.runtime.log import job, logger

with job(snakemake):
    manifest = read_manifest(snakemake.input.manifest, snakemake.input.audit)
    table = split_images(manifest, **snakemake.params.split)
    logger.info("%s", ", ".join(f"{n} {role}" for role, n in table["role"].value_counts().items()))
    write_csv(snakemake.output.splits, table)
