"""Say why false objects and holes are in the masks of one run, on its validation images."""

from pathlib import Path

from maskmake.data.pixel_store import open_images, open_labels
from maskmake.data.tables import read_index, read_splits
from maskmake.masks.decision import read_decision
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.report.diagnosis import diagnose_run
from maskmake.runtime.files import sha256, write_bytes, write_csv, write_json, write_text
from maskmake.runtime.log import job

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    diagnosis = diagnose_run(
        RunProbabilities(snakemake.input.probabilities, snakemake.input.sums, index, splits),
        open_images(snakemake.input.images, index),
        open_labels(snakemake.input.labels, index),
        read_decision(snakemake.input.decision),
    )
    write_csv(snakemake.output.table, diagnosis.table)
    write_bytes(snakemake.output.picture, diagnosis.picture)
    write_text(snakemake.output.drawing, diagnosis.drawing)
    beside = map(Path, (snakemake.output.table, snakemake.output.picture, snakemake.output.drawing))
    sums = {path.name: sha256(path) for path in beside}
    write_json(snakemake.output.diagnosis, {**diagnosis.contents, "sha256": sums})
