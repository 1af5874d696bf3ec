"""Score the masks of the test images of one run."""

from pathlib import Path

import pandas as pd

from maskmake.arrays import open_labels
from maskmake.files import read_csv, read_json, read_pixels, write_csv, write_json
from maskmake.log import job
from maskmake.predictions import RunProbabilities
from maskmake.scorecard import score_card

DECISION = ("method", "threshold", "upper", "min_seed", "min_object", "min_hole")

with job(snakemake):
    index = read_csv(snakemake.input.index)
    labels = open_labels(snakemake.input.labels, index)
    run = RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits))
    masks = Path(snakemake.input.masks)
    card = score_card(
        (i, read_pixels(masks / f"{i}.png") > 0, labels[i], run.test(i)) for i in run.test_ids
    )
    decision = read_json(snakemake.input.decision)
    write_csv(snakemake.output.per_image, card.per_image)
    write_csv(snakemake.output.resamples, card.resamples)
    write_json(
        snakemake.output.metrics,
        {
            "images": len(run.test_ids),
            **{key: decision[key] for key in DECISION},
            **card.scores,
            "seconds_train": sum(read_json(p)["seconds"] for p in snakemake.input.trainings),
            "seconds_predict": sum(
                pd.read_csv(p, sep="\t")["s"].iloc[0] for p in snakemake.input.benchmarks
            ),
            **card.intervals,
        },
    )
