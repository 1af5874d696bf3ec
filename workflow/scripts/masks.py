"""Write masks, and pictures of the probability and of the regions, of the test images."""

from maskmake.masks.decision import stored_decision
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.mask_files import write_masks
from maskmake.runtime.files import read_csv, read_json, write_csv
from maskmake.runtime.log import job

with job(snakemake):
    table = write_masks(
        RunProbabilities(
            snakemake.input.probabilities,
            read_csv(snakemake.input.index),
            read_csv(snakemake.input.splits),
        ),
        stored_decision(read_json(snakemake.input.decision)),
        snakemake.output.masks,
        snakemake.output.probability,
        snakemake.output.regions,
    )
    write_csv(snakemake.output.table, table)
