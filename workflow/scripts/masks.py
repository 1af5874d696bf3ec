"""Write masks, and pictures of the probability and of the regions, of the test images."""

from maskmake.decision import stored_decision
from maskmake.files import read_csv, read_json, write_csv
from maskmake.log import job
from maskmake.mask_files import write_masks
from maskmake.predictions import RunProbabilities

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
