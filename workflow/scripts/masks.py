"""Write masks, and pictures of the probability and of the regions, of the test images."""

from pathlib import Path

import pandas as pd

from maskmake.decision import apply_decision, stored_decision
from maskmake.files import read_csv, read_json, sha256, write_csv, write_png
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
    rows = []
    for image_id in run.test_ids:
        probability = run.test(image_id)
        picture = (probability * 255.0).round().astype("uint8")
        mask = apply_decision(probability, decision)
        path = Path(snakemake.output.masks, f"{image_id}.png")
        write_png(path, mask)
        rows.append({"id": image_id, "sha256": sha256(path)})
        write_png(Path(snakemake.output.probability, f"{image_id}.png"), picture)
        write_png(Path(snakemake.output.regions, f"{image_id}.png"), region_picture(mask))
    write_csv(snakemake.output.table, pd.DataFrame(rows, columns=["id", "sha256"]))
