"""Write the fingerprint of the data set."""

from maskmake.data.fingerprint import fingerprint
from maskmake.data.pixel_store import open_images, open_labels
from maskmake.runtime.files import read_csv, write_json
from maskmake.runtime.log import job

with job(snakemake):
    index = read_csv(snakemake.input.index)
    plan = fingerprint(
        index,
        read_csv(snakemake.input.splits),
        open_images(snakemake.input.images, index),
        open_labels(snakemake.input.labels, index),
    )
    write_json(snakemake.output.plan, plan)
