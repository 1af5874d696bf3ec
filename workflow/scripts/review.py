"""List the masks of a folder without labels, those to look at first on top."""

import pandas as pd

from maskmake.files import read_csv, read_json, write_csv
from maskmake.log import job, logger
from maskmake.review import review_table

SHOWN = 5

with job(snakemake):
    table = pd.concat(map(read_csv, snakemake.input.tables), ignore_index=True)
    # A run that was decided without a temperature tells nothing of its validation images.
    unknown = {"foreground": [], "expected_mean_dice": []}
    validation = read_json(snakemake.input.decision).get("validation", unknown)
    review = review_table(table, validation)
    for row in review.head(SHOWN).itertuples():
        logger.info(
            "%s: expected Dice %.3f%s",
            row.image,
            row.expected_mean_dice,
            f" ({row.reason})" if row.reason else "",
        )
    write_csv(snakemake.output.review, review)
