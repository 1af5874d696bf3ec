"""Write the page of the masks of new images."""

import json
from pathlib import Path

from maskmake.masks.decision import read_decision, validation_of
from maskmake.network.settings import read_training
from maskmake.predict.refused import read_refused
from maskmake.predict.review_page import write_review_page
from maskmake.runtime.files import read_csv, write_text
from maskmake.runtime.log import job, logger

with job(snakemake):
    learned = read_decision(snakemake.input.decision, any_version=True)
    page = write_review_page(
        read_csv(snakemake.input.review),
        validation_of(learned),
        Path(snakemake.input.review).parent,
        json.loads(snakemake.params.names),
        Path(snakemake.output.pictures),
        read_refused(snakemake.input.refused),
        read_training(snakemake.input.training)["preprocessing"].get("selection"),
    )
    write_text(snakemake.output.page, page)
    logger.info("The masks to look at first: %s", snakemake.output.page)
