"""Choose the settings of a run that are auto."""

from functools import partial

from maskmake.data.fingerprint import read_plan
from maskmake.data.tables import read_index
from maskmake.plan.machine import Machine
from maskmake.plan.planner import log_plan, plan_run, settings_that_decide
from maskmake.plan.run_plan import every_value
from maskmake.runtime.files import write_json
from maskmake.runtime.gpus import granted_gpus
from maskmake.runtime.log import job, logger

with job(snakemake):
    gpus = granted_gpus(snakemake.resources.gpu, snakemake.params.gpu)
    index = read_index(snakemake.input.index)
    make_plan = partial(
        plan_run,
        data=read_plan(snakemake.input.fingerprint, index),
        shapes=list(zip(index["height"].tolist(), index["width"].tolist(), strict=True)),
        machine=(machine := Machine(gpus)),
    )
    section = snakemake.params.settings
    plan = make_plan(section)
    log_plan(plan, machine.memory)
    write_json(snakemake.output.plan, plan)
    record = {
        "params": snakemake.params.train,
        "section": settings_that_decide(section, plan, make_plan),
        "values": every_value(plan),
    }
    write_json(snakemake.params.record, record)  # for ``snakefile.planned_params``
    logger.info("the settings, each with its reason: %s", snakemake.output.plan)
