"""Write the fingerprint of the data set."""

from maskmake.arrays import open_images, open_labels
from maskmake.files import read_csv, write_json
from maskmake.log import job
from maskmake.plan import fingerprint

with job(snakemake):
    index = read_csv(snakemake.input.index)
    plan = fingerprint(
        index,
        read_csv(snakemake.input.splits),
        open_images(snakemake.input.images, index),
        open_labels(snakemake.input.labels, index),
    )
    write_json(snakemake.output.plan, plan)
