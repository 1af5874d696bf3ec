"""Say why false objects and holes are in the masks of one run, on its validation images."""

from maskmake.data.pixel_store import open_images, open_labels
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.report.diagnosis import diagnose_run
from maskmake.runtime.files import read_csv, read_json, write_bytes, write_csv, write_json
from maskmake.runtime.log import job

with job(snakemake):
    index = read_csv(snakemake.input.index)
    diagnosis = diagnose_run(
        RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits)),
        open_images(snakemake.input.images, index),
        open_labels(snakemake.input.labels, index),
        read_json(snakemake.input.decision),
    )
    write_csv(snakemake.output.table, diagnosis.table)
    write_json(snakemake.output.diagnosis, diagnosis.contents)
    write_bytes(snakemake.output.picture, diagnosis.picture)
