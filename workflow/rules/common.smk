import os
import re
import sys
from pathlib import Path

import snakemake.exceptions
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake_interface_storage_plugins.registry import StoragePluginRegistry

WORKFLOW = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
sys.path.insert(0, str(WORKFLOW / "scripts"))

from maskmake.at_work import AtWork
from maskmake.configuration import resolve
from maskmake.contents import version_of
from maskmake.locks import HOLDER
from maskmake.errors import UserError
from maskmake.provenance import code_hashes
from maskmake.locations import Dataset, list_shards, trained_folds
from maskmake.folders import list_images

SCHEMA = yaml.safe_load((WORKFLOW / "schemas" / "config.schema.yaml").read_text())


def of_user(path):
    """A path of the configuration, which lies under no prefix, for a rule."""
    return os.path.abspath(path) if PREFIX else path


def user_errors_at_parse_time(function, *arguments):
    """Call a function; what the user can mend ends Snakemake with its sentence, not a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


SETTINGS = user_errors_at_parse_time(resolve, config, SCHEMA)
RUNS = SETTINGS["runs"]
FOLDS = range(SETTINGS["split"]["folds"])
RESULTS = f"results/{SETTINGS['dataset']['name']}"
# Where this is a module with a prefix, Snakemake puts it before every relative path of a rule, but
# before no other path.
PREFIX = workflow.modifier.path_modifier.prefix or ""
if Path("results").exists() and not Path("results").is_dir():
    raise WorkflowError("results: found a file; expected a folder to write to; move the file away.")
DATASET = user_errors_at_parse_time(Dataset.locate, SETTINGS["dataset"], f"{RESULTS}/source")

AT_WORK = AtWork(f"{PREFIX}{RESULTS}", shared=f"{PREFIX}results/weights")
if workflow.is_main_process:
    killed = user_errors_at_parse_time(AT_WORK.begin, workflow.output_settings.dryrun)
    if killed:
        logger.warning(killed)
    # Snakemake's own text does not say whose the lock is, nor that removing it can do harm.
    snakemake.exceptions.LockException = lambda: WorkflowError(AT_WORK.in_words())
elif workflow.remote_exec:  # a job of a cluster goes on without the Snakemake that submitted it
    os.environ.pop(HOLDER, None)

# Of images that a user keeps; those that a rule makes are inputs of the next one.
CONTENTS = f"{PREFIX}{RESULTS}/data/.contents.csv"
FILES = [] if DATASET is None else [*DATASET.image_files, *DATASET.label_files]
DATA_VERSION = None
if DATASET and DATASET.origin == "folders":
    DATA_VERSION = version_of(FILES, CONTENTS)
MADE = PREFIX if DATASET and DATASET.origin != "folders" else ""

SEGMENT = SETTINGS["segment"]
# A model folder given by its path needs no training data; otherwise a run of this data set is used.
SEGMENT_RUN = SEGMENT["run"] or next(iter(config.get("runs") or RUNS))
MODEL = of_user(SEGMENT["model"]) if SEGMENT["model"] else f"{RESULTS}/runs/{SEGMENT_RUN}"
MASKS = f"{RESULTS}/segment/{Path(MODEL).name}"
MODEL_FOLDS = (
    user_errors_at_parse_time(trained_folds, MODEL)
    if SEGMENT["model"]
    else [f"{MODEL}/fold{fold}" for fold in FOLDS]
)
NEW_IMAGES = SEGMENT["images"] or []
if isinstance(NEW_IMAGES, str):
    NEW_IMAGES = list(map(str, list_images(of_user(NEW_IMAGES))))
SHARDS = user_errors_at_parse_time(list_shards, NEW_IMAGES, SEGMENT["shard_size"])
if SEGMENT["images"] and not SHARDS:
    raise WorkflowError(
        f"segment.images: found no image in {SEGMENT['images']!r}; expected a folder of PNG, TIFF, "
        "JPEG or BMP files; mend the path or set segment.images to null."
    )


wildcard_constraints:
    run="|".join(map(re.escape, RUNS)),
    fold=r"\d+",
    patch=r"\d+",
    shard=r"\d+",
    encoder=r"\w+",


# Snakemake would hand such a job fewer GPUs without a word.
GPU_LIMIT = workflow.global_resources["gpu"].value if "gpu" in workflow.global_resources else None
for name, run in RUNS.items():
    if GPU_LIMIT and run["gpu"] > GPU_LIMIT:
        raise WorkflowError(
            f"train.gpu: {run['gpu']} in run '{name}', but --resources gpu={GPU_LIMIT} (from the "
            "profile, unless it was given) lends all jobs together no more than that; add "
            f"--resources gpu={run['gpu']} or lower train.gpu."
        )


def check_start(log):
    """Refuse what must not begin.

    Raises:
        WorkflowError: another Snakemake works on the results, the disk cannot be written to, or the
            limit for GPUs does not reach the jobs.
    """
    other_workflows(log)
    refusal = AT_WORK.refusal()
    if refusal:
        raise WorkflowError(refusal)
    if GPU_LIMIT == 0 and workflow.non_local_exec:
        raise WorkflowError(
            "--resources gpu=0 does not reach jobs on a cluster, which would ask for GPUs all the "
            "same; set train.gpu to 0 in the configuration to use the processor."
        )
    on_gpu = [job for job in workflow.dag.needrun_jobs() if job.resources.get("gpu")]
    if on_gpu and GPU_LIMIT is None and workflow.local_exec:
        logger.warning(
            "--resources: no limit for gpu (the profile's gpu=1 does not count beside a --resources "
            "of one's own), so jobs start at once and wait inside for a GPU that is free; add gpu=1 "
            "to --resources, or as many as there are, to start no more than these."
        )


# The directive onstart counts in the main Snakefile alone, not where this is a module.
other_workflows = workflow._onstart
workflow._onstart = check_start


def stored(address):
    """A file or folder in a storage, as an input of a rule.

    Raises:
        WorkflowError: no installed plugin of Snakemake reads such an address, or the storage does
            not have it or does not answer.
    """
    if not any(
        plugin.storage_provider.is_valid_query(address)
        for plugin in StoragePluginRegistry().plugins.values()
    ):
        scheme = address.partition("://")[0]
        raise WorkflowError(
            f"{address}: no installed storage plugin of Snakemake reads {scheme}://; expected one "
            f"such as snakemake-storage-plugin-{scheme}; install it into .venv with pip, or mend "
            "the address."
        )
    flagged = storage(address)
    if workflow.is_main_process:
        # Snakemake is content with a missing input where it finds the output.
        try:
            reason = "" if flagged.flags["storage_object"].exists() else "not found"
        except Exception as error:  # of many kinds, each plugin has its own
            reason = f"no answer ({error})"
        if reason:
            raise WorkflowError(
                f"{address}: {reason}; expected an object that can be read; mend the address or the "
                "credentials, or run again when the storage is there."
            )
    return flagged


def stored_all(addresses):
    """One address or a list of them, as inputs of a rule."""
    return [stored(each) for each in ([addresses] if isinstance(addresses, str) else addresses)]


def stored_sizes(wildcards):
    """Bytes at each address of the data set."""
    kinds = SETTINGS["dataset"]["storage"].values()
    files = [file for addresses in kinds for file in stored_all(addresses)]
    return [file.flags["storage_object"].size() for file in files]


def code(script):
    """Hash of a script and of each package module it uses: the rerun trigger for code."""
    return code_hashes(WORKFLOW / "scripts" / script)


def training_section(wildcards):
    """The settings that a trained network depends on; where it is trained is none of them."""
    section = RUNS[wildcards.run]
    return {key: value for key, value in section.items() if key not in ("tensorboard", "gpu")}


def of_every_run(pattern):
    """The file of each run."""
    return expand(pattern, run=RUNS, allow_missing=True)


def of_every_fold(pattern):
    """The file of each fold of each run."""
    return expand(pattern, run=RUNS, fold=FOLDS)


def folds_of_run(pattern):
    """The file of each fold, the wildcard for the run left open."""
    return expand(pattern, fold=FOLDS, allow_missing=True)


def weights_of_encoder(wildcards):
    """The file of weights from which the encoder of a run starts, if it does."""
    train = RUNS[wildcards.run]
    if train["encoder_weights"] is None:
        return {}
    (weights,) = expand(rules.fetch_weights.output.weights, encoder=train["encoder"])
    return {"encoder_weights": weights}


def images_of_shard(wildcards):
    """Paths of the images of a shard, if they lie in a folder."""
    return SHARDS[int(wildcards.shard)] if isinstance(SEGMENT["images"], str) else []


def stored_images_of_shard(wildcards):
    """Images of a shard as inputs of a rule, if they lie in a storage."""
    return [] if isinstance(SEGMENT["images"], str) else stored_all(SHARDS[int(wildcards.shard)])


def contents_of_shard(wildcards):
    """The record of what the images of a shard held when they were segmented."""
    return f"{PREFIX}{MASKS}/.shards/{wildcards.shard}.contents.csv"


def version_of_shard(wildcards):
    """Another one when an image of a shard has other bytes."""
    return version_of(images_of_shard(wildcards), contents_of_shard(wildcards))


def segment_shards(wildcards):
    """The list of finished masks of each shard."""
    if not SHARDS:
        raise WorkflowError("segment.images: not set; set it to the folder of images to segment.")
    return expand(rules.segment_shard.output.table, shard=range(len(SHARDS)))
