"""Give every image its role and its fold."""

from maskmake.files import read_csv, write_csv
from maskmake.log import job, logger
from maskmake.splits import split_images

with job(snakemake):
    table = split_images(read_csv(snakemake.input.manifest), **snakemake.params.split)
    logger.info("%s", ", ".join(f"{n} {role}" for role, n in table["role"].value_counts().items()))
    write_csv(snakemake.output.splits, table)
