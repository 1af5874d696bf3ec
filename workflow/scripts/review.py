"""List the masks of a folder without labels, those to look at first on top."""

from pathlib import Path

from maskmake.masks.decision import read_decision
from maskmake.predict.review import move_former_masks, review_shards
from maskmake.runtime.files import read_csv, write_csv
from maskmake.runtime.log import job, logger

with job(snakemake):
    learned = read_decision(snakemake.input.decision, any_version=True)
    review = review_shards(map(read_csv, snakemake.input.tables), learned)
    masks = Path(snakemake.output.review).parent
    move_former_masks(masks, review["id"])
    write_csv(snakemake.output.review, review)
    look = "".join(
        f"look first at {row.image}: expected Dice {row.expected_mean_dice:.3f}; "
        for row in review.head(1).itertuples()
    )
    logger.info("%d masks: %s; %sthe list: %s", len(review), masks, look, snakemake.output.review)
