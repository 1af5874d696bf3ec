"""Score the masks of the test images of one run."""

import pandas as pd

from maskmake.data.pixel_store import open_labels
from maskmake.masks.evaluation import evaluate_run
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.runtime.files import read_csv, read_json, write_csv, write_json
from maskmake.runtime.log import job

with job(snakemake):
    index = read_csv(snakemake.input.index)
    evaluation = evaluate_run(
        RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits)),
        open_labels(snakemake.input.labels, index),
        snakemake.input.masks,
        read_json(snakemake.input.decision),
        map(read_json, snakemake.input.trainings),
        map(pd.read_table, snakemake.input.benchmarks),
    )
    write_csv(snakemake.output.per_image, evaluation.per_image)
    write_csv(snakemake.output.resamples, evaluation.resamples)
    write_csv(snakemake.output.reliability, evaluation.reliability)
    write_json(snakemake.output.metrics, evaluation.metrics.contents())
