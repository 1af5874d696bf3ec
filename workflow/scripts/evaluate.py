"""Score the masks of the test images of one run."""

import pandas as pd

from maskmake.arrays import open_labels
from maskmake.evaluation import evaluate_run
from maskmake.files import read_csv, read_json, write_csv, write_json
from maskmake.log import job
from maskmake.predictions import RunProbabilities

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
