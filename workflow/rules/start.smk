# What happens before any job. Snakemake parses these files for a dry run and `--list` too, and again
# for each job. Parsing writes and reads: in the Snakemake of a user it takes the lock of the results
# folder (a dry run gives it back), writes a probe into .snakemake and asks each storage whether it
# has the images; each Snakemake lists the folders of images and reads again the images with new times.

from maskmake.runtime.locks import HOLDER, Process

RESULTS_LOCK = ResultsLock(f"{PREFIX}{RESULTS}", shared=f"{PREFIX}results/weights")
if internals.is_main_process(workflow):
    killed = user_errors_at_parse_time(RESULTS_LOCK.acquire, internals.is_dry_run(workflow))
    if killed:
        logger.warning(killed)
    # Snakemake's own text does not say whose the lock is, nor that removing it can do harm.
    internals.explain_lock(RESULTS_LOCK.describe_holder)
    separate_locks(number_of(Process.current()), RESULTS_LOCK.numbers_at_work)
elif internals.is_job_of_cluster(workflow):  # which goes on without the Snakemake that submitted it
    os.environ.pop(HOLDER, None)

internals.delay_ctrl_c_of_jobs()
job_commands.quote_python()

# Snakemake would hand such a job fewer GPUs without a word.
GPU_LIMIT = internals.resource_limit(workflow, "gpu")
for name, run in RUNS.items():
    if GPU_LIMIT and gpus_asked_for(run) > GPU_LIMIT:
        raise WorkflowError(
            f"train.gpu: {run['gpu']} in run '{name}', but --resources gpu={GPU_LIMIT} (from the "
            "profile, unless it was given) is the limit for all jobs together; add "
            f"--resources gpu={run['gpu']} or lower train.gpu."
        )


def check_gpus(jobs):
    """Refuse jobs that ask for more GPUs than this machine has, before any job starts.

    Where a GPU may be there that nvidia-smi does not list, the backend decides it in the job.

    Raises:
        WorkflowError: naming the run, and what to set instead.
    """
    if not are_all_listed():
        return
    listed = len(visible_gpus())
    for job in jobs:
        name, gpu = job.wildcards.get("run", SEGMENT_RUN), job.resources["gpu"]
        if RUNS[name]["gpu"] != "auto" and gpu > listed:
            raise WorkflowError(
                f"train.gpu: {gpu} in run '{name}', but nvidia-smi lists {listed or 'none'} on this "
                f"machine; set train.gpu to auto{f' or {listed}' if listed else ''}, add --resources "
                "gpu=0 to use the processor, or fix the driver or CUDA_VISIBLE_DEVICES."
            )


def check_start():
    """Refuse what must not begin.

    Raises:
        WorkflowError: another Snakemake works on the results, the disk cannot be written to, or the
            limit for GPUs does not reach the jobs, or there are too few GPUs.
    """
    refusal = RESULTS_LOCK.why_refused()
    if refusal:
        raise WorkflowError(refusal)
    on_this_machine = internals.runs_on_this_machine(workflow)
    if GPU_LIMIT == 0 and on_this_machine is False:
        raise WorkflowError(
            "--resources gpu=0 does not reach jobs on a cluster, which would ask for GPUs all the "
            "same; set train.gpu to 0 in the configuration to use the processor."
        )
    planned = internals.planned_jobs(workflow)
    benchmarks = [job.benchmark for job in planned if job.benchmark]
    files = [str(file) for job in planned for file in (*job.log, *job.output)]
    refusal = why_unwritable([*map(str, benchmarks), *files])
    if refusal:
        raise WorkflowError(refusal)
    on_gpu = [job for job in planned if job.resources.get("gpu")]
    if on_gpu and on_this_machine:
        check_gpus(on_gpu)
    if on_gpu and GPU_LIMIT is None and on_this_machine:
        logger.warning(
            "--resources: no limit for gpu (the profile's gpu=1 does not count beside a --resources "
            "of your own), so all jobs start at once and then wait for a free GPU; add gpu=1 to "
            "--resources, or as many as there are, to start only as many jobs."
        )


internals.check_before_jobs(workflow, check_start)
