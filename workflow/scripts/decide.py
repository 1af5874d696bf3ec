"""Learn on the validation images how probabilities become masks."""

from maskmake.arrays import open_labels
from maskmake.files import read_csv, write_json
from maskmake.learning import decide_run
from maskmake.log import job
from maskmake.predictions import RunProbabilities

with job(snakemake):
    index = read_csv(snakemake.input.index)
    decision = decide_run(
        RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits)),
        open_labels(snakemake.input.labels, index),
        **snakemake.params.decide,
    )
    write_json(snakemake.output.decision, decision)
