"""Write masks, and pictures of the probability and of the regions, of the test images."""

from maskmake.data.tables import read_index, read_splits
from maskmake.masks.decision import read_decision, stored_decision
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.mask_files import write_masks
from maskmake.runtime.files import write_csv
from maskmake.runtime.log import job, logger

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    table = write_masks(
        RunProbabilities(snakemake.input.probabilities, snakemake.input.sums, index, splits),
        stored_decision(read_decision(snakemake.input.decision)),
        snakemake.output.masks,
        snakemake.output.probability,
        snakemake.output.regions,
    )
    write_csv(snakemake.output.table, table)
    logger.info("%d masks: %s", len(table), snakemake.output.masks)
