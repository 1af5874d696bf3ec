"""Write the masks of one shard of a folder without labels."""

import json
from pathlib import Path

from maskmake.network.device import select_device
from maskmake.network.settings import PredictSettings, read_training
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job

with job(snakemake):
    trained = read_training(snakemake.input.trainings[0])
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    select_device(trained["settings"]["backend"], gpus, snakemake.log[0])
    from maskmake.predict.segmentation import segment_shard

    segment_shard(
        dict(zip(snakemake.params.images, json.loads(snakemake.params.ids), strict=True)),
        snakemake.input.images,
        json.loads(snakemake.params.taken),
        snakemake.input.models,
        snakemake.input.decision,
        snakemake.input.run,
        PredictSettings(**snakemake.params.predict),
        snakemake.params.code,
        snakemake.params.contents,
        json.loads(snakemake.params.source),
        snakemake.params.source_record,
        Path(snakemake.output.table),
        snakemake.output.refused,
    )
