"""Train the network of one fold of one run."""

from pathlib import Path

from maskmake.network.device import select_device
from maskmake.network.settings import PLANNED, TrainSettings
from maskmake.plan.run_plan import planned_values, read_run_plan
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job

with job(snakemake):
    plan = read_run_plan(snakemake.input.run_plan, PLANNED)
    settings = TrainSettings.from_section({**snakemake.params.train, **planned_values(plan)})
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    select_device(settings.backend, gpus, snakemake.log[0])
    from maskmake.train.training import train_fold  # Keras reads its backend when it is imported

    train_fold(
        settings,
        int(snakemake.wildcards.fold),
        snakemake.params.code,
        {name: Path(path) for name, path in snakemake.input.items()},
        {name: Path(path) for name, path in snakemake.output.items()},
        snakemake.params.tensorboard,
        snakemake.params.decide["objects"],
    )
