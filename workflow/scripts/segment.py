"""Write the masks of one shard of a folder without labels."""

import json
from pathlib import Path

from maskmake.data.file_versions import write_scan
from maskmake.network.device import select_device
from maskmake.network.settings import PredictSettings, read_training
from maskmake.runtime.files import write_csv, write_json
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job, logger

with job(snakemake):
    trained = read_training(snakemake.input.trainings[0])
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    select_device(trained["settings"]["backend"], gpus, snakemake.log[0])
    from maskmake.predict.segmentation import segment_images

    write_scan(snakemake.params.images, snakemake.params.contents)
    # Before the first mask, so that the next start refuses other images or another model here.
    write_json(snakemake.params.source_record, json.loads(snakemake.params.source))
    table = segment_images(
        [*snakemake.params.images, *snakemake.input.images],
        [Path(model).parent for model in snakemake.input.models],
        snakemake.input.decision,
        PredictSettings(**snakemake.params.predict),
        Path(snakemake.output.table).parents[1],
        next(map(Path, snakemake.input.run), None),
        dict(zip(snakemake.params.images, json.loads(snakemake.params.ids), strict=True)),
    )
    write_csv(snakemake.output.table, table)
    logger.info("%d masks: %s", len(table), Path(snakemake.output.table).parents[1])
