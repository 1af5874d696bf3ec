"""Write masks, and pictures of the probability and of the regions, of the test images."""

from pathlib import Path

from maskmake.decision import apply_decision, stored_decision
from maskmake.files import read_csv, read_json, write_png
from maskmake.log import job
from maskmake.predictions import RunProbabilities
from maskmake.regions import region_picture

with job(snakemake):
    decision = stored_decision(read_json(snakemake.input.decision))
    run = RunProbabilities(
        snakemake.input.probabilities,
        read_csv(snakemake.input.index),
        read_csv(snakemake.input.splits),
    )
    for image_id in run.test_ids:
        probability = run.test(image_id)
        picture = (probability * 255.0).round().astype("uint8")
        mask = apply_decision(probability, decision)
        write_png(Path(snakemake.output.masks, f"{image_id}.png"), mask)
        write_png(Path(snakemake.output.probability, f"{image_id}.png"), picture)
        write_png(Path(snakemake.output.regions, f"{image_id}.png"), region_picture(mask))
