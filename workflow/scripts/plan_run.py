"""Choose the settings of a run that are auto."""

from maskmake.data.fingerprint import read_plan
from maskmake.data.tables import read_index
from maskmake.plan.machine import Machine
from maskmake.plan.planner import log_plan, plan_run
from maskmake.runtime.files import write_json
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job, logger

with job(snakemake):
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    index = read_index(snakemake.input.index)
    plan = plan_run(
        snakemake.params.settings,
        read_plan(snakemake.input.fingerprint, index),
        list(zip(index["height"].tolist(), index["width"].tolist(), strict=True)),
        machine := Machine(gpus),
    )
    log_plan(plan, machine.memory())
    write_json(snakemake.output.plan, plan)
    record = {
        "params": snakemake.params.train,
        "section": snakemake.params.settings,
        "values": {name: setting["value"] for name, setting in plan["settings"].items()},
    }
    write_json(snakemake.params.record, record)  # for ``snakefile.planned_params``
    logger.info("the settings, each with its reason: %s", snakemake.output.plan)
