"""List the masks of a folder without labels, those to look at first on top."""

from pathlib import Path

from maskmake.masks.decision import read_decision
from maskmake.predict.review import move_former_masks, review_shards
from maskmake.runtime.files import read_csv, write_csv
from maskmake.runtime.log import job, logger

with job(snakemake):
    learned = read_decision(snakemake.input.decision, any_version=True)
    review = review_shards(map(read_csv, snakemake.input.tables), learned)
    move_former_masks(Path(snakemake.output.review).parent, review["id"])
    write_csv(snakemake.output.review, review)
    masks = Path(snakemake.output.review).parent
    first = f"{review['image'].iloc[0]}: expected Dice {review['expected_mean_dice'].iloc[0]:.3f}"
    logger.info(
        "%d masks: %s; look first at %s; the list: %s",
        len(review),
        masks,
        first,
        snakemake.output.review,
    )
