"""Write masks and probability pictures of the test images."""

from pathlib import Path

from maskmake.decision import apply_decision, stored_decision
from maskmake.files import read_csv, read_json, write_png
from maskmake.log import job
from maskmake.predictions import RunProbabilities

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
        write_png(
            Path(snakemake.output.masks, f"{image_id}.png"), apply_decision(probability, decision)
        )
        write_png(Path(snakemake.output.probability, f"{image_id}.png"), picture)
