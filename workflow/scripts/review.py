"""List the masks of a folder without labels, those to look at first on top."""

from maskmake.predict.review import review_shards
from maskmake.runtime.files import read_csv, read_json, write_csv
from maskmake.runtime.log import job

with job(snakemake):
    review = review_shards(
        map(read_csv, snakemake.input.tables), read_json(snakemake.input.decision)
    )
    write_csv(snakemake.output.review, review)
