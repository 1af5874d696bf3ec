"""Score the masks of the test images of one run."""

import pandas as pd

from maskmake.data.pixel_store import open_labels
from maskmake.data.tables import groups_of, read_index, read_manifest, read_splits
from maskmake.masks.decision import read_decision
from maskmake.masks.evaluation import describe, evaluate_run
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.mask_files import MaskFolder
from maskmake.network.settings import read_training
from maskmake.runtime.files import write_csv, write_json
from maskmake.runtime.log import job, logger

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    manifest = read_manifest(snakemake.input.manifest, snakemake.input.audit)
    evaluation = evaluate_run(
        RunProbabilities(snakemake.input.probabilities, snakemake.input.sums, index, splits),
        open_labels(snakemake.input.labels, index),
        MaskFolder(snakemake.input.masks, snakemake.input.table),
        read_decision(snakemake.input.decision),
        groups_of(manifest),
        map(read_training, snakemake.input.trainings),
        map(pd.read_table, snakemake.input.benchmarks),
    )
    write_csv(snakemake.output.per_image, evaluation.per_image)
    write_csv(snakemake.output.resamples, evaluation.resamples)
    write_csv(snakemake.output.reliability, evaluation.reliability)
    write_csv(snakemake.output.networks, evaluation.metrics.networks)
    write_json(snakemake.output.metrics, evaluation.metrics.contents())
    logger.info("%s", describe(evaluation))
