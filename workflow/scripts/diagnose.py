"""Say why false objects and holes are in the masks of one run, on its validation images."""

from maskmake import figures
from maskmake.arrays import open_images, open_labels
from maskmake.decision import stored_decision
from maskmake.files import atomic, read_csv, read_json, write_csv, write_json
from maskmake.log import job, logger
from maskmake.predictions import RunProbabilities
from maskmake.speck_figure import crop_panels, speck_figure
from maskmake.specks import diagnose, find_specks

with job(snakemake):
    index = read_csv(snakemake.input.index)
    images = open_images(snakemake.input.images, index)
    labels = open_labels(snakemake.input.labels, index)
    run = RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits))
    learned = read_json(snakemake.input.decision)
    decision = stored_decision(learned)
    pieces = find_specks(
        lambda: ((i, run.validation(i), labels[i]) for i in run.validation_ids), learned
    )
    diagnosis = diagnose(pieces, learned)
    logger.info(
        "verdict %s: %d of %d components are false; threshold %d, size %d, model_or_label %d",
        diagnosis["verdict"],
        diagnosis["false"],
        diagnosis["components"],
        *diagnosis["causes"].values(),
    )
    panels = None
    if worst := diagnosis["worst"]:
        i = worst["image"]
        panels = crop_panels(images[i], labels[i], run.validation(i), worst, decision)
    write_csv(snakemake.output.table, pieces[pieces["false"]].drop(columns="false"))
    write_json(snakemake.output.diagnosis, {**diagnosis, "images": run.validation_ids})
    with atomic(snakemake.output.picture) as temporary:
        temporary.write_bytes(figures.png(speck_figure(pieces, diagnosis, decision, panels)))
