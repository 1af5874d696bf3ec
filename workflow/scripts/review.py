"""List the masks of a folder without labels, those to look at first on top."""

from maskmake.files import read_csv, read_json, write_csv
from maskmake.log import job
from maskmake.review import review_shards

with job(snakemake):
    review = review_shards(
        map(read_csv, snakemake.input.tables), read_json(snakemake.input.decision)
    )
    write_csv(snakemake.output.review, review)
