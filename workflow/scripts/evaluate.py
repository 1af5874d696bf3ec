"""Score the masks of the test images of one run."""

import pandas as pd

from maskmake.arrays import open_labels
from maskmake.calibration import assess_calibration
from maskmake.files import read_csv, read_json, write_csv, write_json
from maskmake.images import read_pixels
from maskmake.log import job
from maskmake.predictions import RunProbabilities
from maskmake.scorecard import score_card

DECISION = ("method", "threshold", "upper", "min_seed", "min_object", "min_hole", "temperature")

with job(snakemake):
    index = read_csv(snakemake.input.index)
    labels = open_labels(snakemake.input.labels, index)
    run = RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits))
    decision = read_json(snakemake.input.decision)

    def cases():
        for i in run.test_ids:
            yield i, read_pixels(f"{snakemake.input.masks}/{i}.png") > 0, labels[i], run.test(i)

    card = score_card(cases(), decision["temperature"])
    reliability, expected = assess_calibration(cases(), decision["temperature"])
    write_csv(snakemake.output.per_image, card.per_image.merge(expected, on="id"))
    write_csv(snakemake.output.resamples, card.resamples)
    write_csv(snakemake.output.reliability, reliability)
    write_json(
        snakemake.output.metrics,
        {
            "images": len(run.test_ids),
            **{key: decision[key] for key in DECISION},
            **card.scores,
            "seconds_train": sum(read_json(p)["seconds"] for p in snakemake.input.trainings),
            "seconds_predict": pd.concat(map(pd.read_table, snakemake.input.benchmarks))["s"].sum(),
            **card.intervals,
        },
    )
