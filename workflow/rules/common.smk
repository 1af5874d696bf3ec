# Settings, paths, and the functions that give the inputs and params of rules.

import json
import os
import re
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

WORKFLOW = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
sys.path.insert(0, str(WORKFLOW / "scripts"))

from maskmake.data.addresses import hide_all, hide_in_command, hide_secrets, keep_for_jobs, publish
from maskmake.snakefile import console, internals, job_changes, job_commands
from maskmake.snakefile.causes import first_cause
from maskmake.snakefile.config import resolve
from maskmake.snakefile.config_files import check_files, with_name
from maskmake.data.data_source import (
    check_source,
    folder_name,
    name_of_images,
    places,
    stored_items,
)
from maskmake.data.file_versions import version_of
from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError, printable
from maskmake.runtime.gpus import are_all_listed, visible_gpus
from maskmake.network.settings import PLANNED
from maskmake.data.layouts import list_new_images, path_advice
from maskmake.snakefile.locations import (
    Dataset,
    list_shards,
    names_of_pages,
    trained_folds,
    version_of_checksums,
)
from maskmake.snakefile.code_hash import code_hashes
from maskmake.snakefile.packaged_settings import predict_of_model
from maskmake.snakefile.planned_params import planning_params
from maskmake.snakefile.repetitions import network_numbers, seed_of_network
from maskmake.snakefile.recipes import recipes_of
from maskmake.snakefile.results_lock import ResultsLock, check_results_folder, number_of
from maskmake.snakefile.results_lock import why_unwritable
from maskmake.snakefile.snakemake_locks import separate_locks
from maskmake.snakefile.train_faults import gpus_asked_for
from maskmake.snakefile.used_settings import free_thresholds, used_decision, used_settings

console.install(workflow)
job_changes.remember(workflow)
job_commands.import_own_package(WORKFLOW / "scripts")
# The parser in C, where PyYAML has it, takes a seventh of the time.
SCHEMA = yaml.load(
    (WORKFLOW / "schemas" / "config.schema.yaml").read_text(),
    Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
)


def user_path(path):
    """A path of the configuration as a rule has to name it, since no prefix applies to it."""
    return os.path.abspath(path) if PREFIX else path


def user_errors_at_parse_time(function, *arguments):
    """Call a function; what the user can fix ends Snakemake with its sentence, not a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        # A path in it may be an address with a password, in a setting that takes no address.
        raise WorkflowError(printable(hide_secrets(str(error)))) from None


CONFIGURATION_FILES = internals.configuration_files(workflow)
if internals.is_main_process(workflow):
    user_errors_at_parse_time(
        check_files, CONFIGURATION_FILES, sys.argv, internals.config_arguments(workflow)
    )
internals.give_types_to_arguments(workflow, config)
NAMED_FILES = internals.named_files(workflow)
NAME_PATTERN = SCHEMA["properties"]["dataset"]["properties"]["name"]["pattern"]
NAMED_CONFIG = user_errors_at_parse_time(with_name, config, NAMED_FILES, NAME_PATTERN)
SETTINGS = user_errors_at_parse_time(resolve, NAMED_CONFIG, SCHEMA)
# From here on no setting has a user, a password or a key, nor has what Snakemake hands to scripts.
SETTINGS, SECRET_ADDRESSES = user_errors_at_parse_time(publish, SETTINGS)
keep_for_jobs(SECRET_ADDRESSES)
config.update(hide_all(config))
# Snakemake writes its command into its log.
sys.argv[:] = hide_in_command(sys.argv)
RUNS = SETTINGS["runs"]
REPORTED = [run for run in RUNS if run not in SETTINGS["compare"]["leave_out"]]
FOLDS = SETTINGS["split"]["folds"]
# One for each fold and seed; their folders are named fold0, fold1 and so on.
NETWORKS = {run: network_numbers(FOLDS, train["seeds"]) for run, train in RUNS.items()}
RESULTS = f"results/{SETTINGS['dataset']['name']}"
# Where this is a module with a prefix, Snakemake puts it before every relative path of a rule, but
# before no other path.
PREFIX = internals.module_prefix(workflow)
user_errors_at_parse_time(check_results_folder, f"{PREFIX}{RESULTS}")
DATASET = user_errors_at_parse_time(Dataset.locate, SETTINGS["dataset"], f"{RESULTS}/source")

# For images that a user keeps; those that a rule makes are inputs of the next one.
DATASET_RECORD = f"{PREFIX}{RESULTS}/data/.contents.csv"
SOURCE_RECORD = f"{PREFIX}{RESULTS}/data/.source.json"
DATASET_FILES = [] if DATASET is None else DATASET.files
SOURCE = places(SETTINGS["dataset"])
if DATASET and internals.is_main_process(workflow):
    listed = DATASET_FILES if DATASET.origin == "folders" else []
    user_errors_at_parse_time(check_source, f"{PREFIX}{RESULTS}", SOURCE_RECORD, SOURCE, listed)
DATA_VERSION = None
if DATASET and DATASET.origin == "folders":
    DATA_VERSION = user_errors_at_parse_time(version_of, DATASET_FILES, DATASET_RECORD)
MADE_PREFIX = PREFIX if DATASET and DATASET.origin != "folders" else ""

SEGMENT = SETTINGS["segment"]
# A model folder given by its path needs no training data; otherwise a run of this data set is used.
SEGMENT_RUN = SEGMENT["run"] or next(iter(config.get("runs") or RUNS))
MODEL = user_path(SEGMENT["model"]) if SEGMENT["model"] else f"{RESULTS}/runs/{SEGMENT_RUN}"
# Named after both, so that masks of other images or of another model do not lie among these.
MASKS = f"{RESULTS}/segment/{folder_name(MODEL)}/{name_of_images(SEGMENT['images'] or 'images')}"
MASKS_RECORD = f"{PREFIX}{MASKS}/.shards/source.json"
MASKS_ATTEMPTS = f"{PREFIX}{MASKS}/.shards/attempts.json"
MASKS_SOURCE = {
    "model": [SEGMENT["model"] or MODEL],
    "images": [SEGMENT["images"]] if isinstance(SEGMENT["images"], str) else SEGMENT["images"],
}
if SEGMENT["images"] and internals.is_main_process(workflow):
    user_errors_at_parse_time(check_source, f"{PREFIX}{MASKS}", MASKS_RECORD, MASKS_SOURCE)
MODEL_FOLDS = (
    user_errors_at_parse_time(trained_folds, MODEL)
    if SEGMENT["model"]
    else [f"{MODEL}/fold{fold}" for fold in NETWORKS[SEGMENT_RUN]]
)
PREDICT_OF_MODEL = user_errors_at_parse_time(
    predict_of_model,
    MODEL if SEGMENT["model"] else None,
    NAMED_CONFIG.get("predict"),
    SETTINGS["predict"],
)
# What lists the folds. Results of 0.1.0 have a decision without it.
MODEL_RUN = [f"{MODEL}/run.json"]
if os.path.isfile(f"{MODEL}/decision.json") and not os.path.isfile(MODEL_RUN[0]):
    MODEL_RUN = []
# Of images that this computer has; those at addresses are inputs of the rule.
NEW_IMAGES_ARE_STORED = any("://" in place for place in MASKS_SOURCE["images"] or [])
if NEW_IMAGES_ARE_STORED:
    NEW_IMAGES = dict.fromkeys(SEGMENT["images"])
elif isinstance(SEGMENT["images"], str):
    NEW_IMAGES = list_new_images(user_path(SEGMENT["images"]))
else:
    NEW_IMAGES = list_new_images(list(map(user_path, SEGMENT["images"] or [])))
SHARDS = user_errors_at_parse_time(list_shards, NEW_IMAGES, SEGMENT["shard_size"])
NAMES_OF_PAGES = names_of_pages(NEW_IMAGES)
if SEGMENT["images"] and not SHARDS:
    raise WorkflowError(
        f"segment.images: found no image in {SEGMENT['images']!r}; expected a folder or a pattern of "
        "PNG, TIFF, JPEG or BMP files; fix the path or set segment.images to null"
        f"{path_advice(MASKS_SOURCE['images'][0])}."
    )


wildcard_constraints:
    run="|".join(map(re.escape, RUNS)),
    fold=r"\d+",
    shard=r"\d+",
    encoder=r"\w+",


def code(script):
    """Hash of a script and of each package module it uses: the rerun trigger for code.

    As a function of the wildcards it is asked for only by jobs that a command looks at. The process
    of a single job would spend half of its reading of the workflow on the scripts of all rules.
    """
    return lambda wildcards: code_hashes(WORKFLOW / "scripts" / script)


def training_section(wildcards):
    """The settings that a trained network depends on, but for those that its plan has.

    The device is not among them.
    """
    section = RUNS[wildcards.run]
    seed = seed_of_network(section["seed"], int(wildcards.fold), FOLDS)
    # One seed more trains no other network again.
    others = ("tensorboard", "gpu", "seeds", *PLANNED)
    return {key: value for key, value in section.items() if key not in others} | {"seed": seed}


def deciding_section(wildcards):
    """The setting of ``decide`` that a training reads: one of its losses needs the objects."""
    needed = RUNS[wildcards.run]["loss"] == "bce_borders"
    return {"objects": SETTINGS["decide"]["objects"] if needed else None}


def planning_section(wildcards):
    """The settings that the plan of a run gives a value or reads."""
    section = RUNS[wildcards.run]
    read = ("architecture", "encoder", "encoder_weights", "precision", "minutes")
    return {key: section[key] for key in (*PLANNED, *read)}


def record_of_plan(wildcards):
    """The record of what the plan of a run was made of."""
    return f"{PREFIX}{RESULTS}/runs/{wildcards.run}/.plan.json"


def params_of_plan(wildcards):
    """The settings of the plan, as they were asked for where they are as the plan has them."""
    return planning_params(planning_section(wildcards), record_of_plan(wildcards))


def paths_of(outputs):
    """Paths of outputs as their rules write them, which expand() takes in a default storage too."""
    listed = [outputs] if isinstance(outputs, str) else outputs
    return [internals.path_in_storage(workflow, output) or output for output in listed]


def for_every_run(pattern, runs=RUNS):
    """The file of each run."""
    return expand(paths_of(pattern), run=runs, allow_missing=True)


def for_every_fold(pattern, runs=RUNS):
    """The file of each network of each run."""
    paths = paths_of(pattern)
    return [path for run in runs for path in expand(paths, run=run, fold=NETWORKS[run])]


def left_out_runs(wildcards):
    """Each run that is not in the report, with what its logs say why a job failed, or None."""

    def logs(run):
        steps = [f"fold{fold}-{step}" for fold in NETWORKS[run] for step in ("train", "predict")]
        for step in ("plan", *steps, "decide", "diagnose", "masks", "evaluate"):
            yield Path(f"{PREFIX}{RESULTS}/logs/{run}-{step}.log")

    return [(run, first_cause(logs(run))) for run in RUNS if run not in REPORTED]


def folds_of_run(pattern):
    """A function that lists the file of each network of the run of a job."""
    paths = paths_of(pattern)
    return lambda wildcards: expand(paths, run=wildcards.run, fold=NETWORKS[wildcards.run])


def weights_of_encoder(wildcards):
    """The file of weights from which the encoder of a run starts, if there is one."""
    train = RUNS[wildcards.run]
    if train["encoder_weights"] is None:
        return {}
    (weights,) = expand(paths_of(rules.fetch_weights.output.weights), encoder=train["encoder"])
    return {"encoder_weights": weights}


def images_of_shard(wildcards):
    """Paths of the images of a shard, if this computer has them."""
    return [] if NEW_IMAGES_ARE_STORED else SHARDS[int(wildcards.shard)]


def ids_of_shard(wildcards):
    """The ids after which the masks of a shard are named, in the order of its images, as JSON."""
    return json.dumps([NEW_IMAGES[path] for path in images_of_shard(wildcards)])


def taken_from_shard(wildcards):
    """Paths of images by the names that no page of a stack of the shard may have, as JSON.

    Of all new images only these, so that one more image changes no other shard.
    """
    taken = [NAMES_OF_PAGES.get(path, {}) for path in SHARDS[int(wildcards.shard)]]
    return json.dumps({name: path for others in taken for name, path in others.items()})


def names_of_new_images(wildcards):
    """The ids after which the masks are named, by the path of the image, as JSON."""
    return json.dumps({} if NEW_IMAGES_ARE_STORED else NEW_IMAGES)


def contents_of_shard(wildcards):
    """The record of what the images of a shard held when they were segmented."""
    return f"{PREFIX}{MASKS}/.shards/{wildcards.shard}.contents.csv"


def version_of_shard(wildcards):
    """The version of the images of a shard; it changes when the bytes of any of them do."""
    record = contents_of_shard(wildcards)
    return user_errors_at_parse_time(version_of, images_of_shard(wildcards), record)


def attempt_of_shard(wildcards):
    """The number of an attempt; it changes while images of the shard could not be used."""
    record = Path(MASKS_ATTEMPTS)
    if not record.is_file():
        return "attempt 0"
    attempts = user_errors_at_parse_time(read_document, record, dict[str, int])
    return f"attempt {attempts.get(wildcards.shard, 0)}"


def segment_shards(wildcards):
    """The list of finished masks of each shard."""
    if not SHARDS:
        raise WorkflowError("segment.images: not set; set it to the folder of images to segment.")
    return expand(paths_of(rules.segment_shard.output.table), shard=range(len(SHARDS)))


def refused_of_shards(wildcards):
    """The images of each shard that could not be used."""
    return expand(paths_of(rules.segment_shard.output.refused), shard=range(len(SHARDS)))
