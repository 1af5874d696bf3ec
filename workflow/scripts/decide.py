"""Learn on the validation images how probabilities become masks."""

from maskmake.data.pixel_store import open_labels
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.learning import decide_run
from maskmake.runtime.files import read_csv, read_json, write_json
from maskmake.runtime.log import job

with job(snakemake):
    index = read_csv(snakemake.input.index)
    decision = decide_run(
        RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits)),
        open_labels(snakemake.input.labels, index),
        read_json(snakemake.input.plan),
        **snakemake.params.decide,
    )
    write_json(snakemake.output.decision, decision)
