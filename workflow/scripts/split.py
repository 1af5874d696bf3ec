"""Give every image its role and its fold."""

from maskmake.data.splits import split_images
from maskmake.runtime.files import read_csv, write_csv
from maskmake.runtime.log import job, logger

with job(snakemake):
    table = split_images(read_csv(snakemake.input.manifest), **snakemake.params.split)
    logger.info("%s", ", ".join(f"{n} {role}" for role, n in table["role"].value_counts().items()))
    write_csv(snakemake.output.splits, table)
