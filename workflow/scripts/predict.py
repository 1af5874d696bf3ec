"""Write the probabilities of the validation and test images of one fold."""

from dataclasses import replace
from pathlib import Path

from maskmake.data.splits import fold_ids, fold_of_network
from maskmake.data.tables import read_index, read_splits
from maskmake.network.device import describe_device, select_device
from maskmake.network.settings import PredictSettings
from maskmake.plan.run_plan import planned_value, read_run_plan
from maskmake.runtime.files import write_csv
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job, logger

with job(snakemake):
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    settings = PredictSettings(**snakemake.params.predict)
    plan = read_run_plan(snakemake.input.run_plan, ["predict.tile"])
    tile = planned_value(plan, "predict.tile", settings.tile)
    select_device(snakemake.params.backend, gpus, snakemake.log[0])
    from maskmake.predict.predictor import predict_images

    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    ids = fold_ids(splits, fold_of_network(splits, int(snakemake.wildcards.fold)))
    table = predict_images(
        Path(snakemake.input.model).parent,
        snakemake.input.images,
        index,
        ids.validation + ids.test,
        replace(settings, tile=tile),
        snakemake.output.probabilities,
    )
    write_csv(snakemake.output.sums, table)
    logger.info("%d images predicted on %s", len(table), describe_device())
