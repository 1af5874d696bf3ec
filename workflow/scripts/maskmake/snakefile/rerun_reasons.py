"""Why Snakemake would run a job again, in words that name the setting, the code or the file."""

import ast
import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from maskmake.data.file_versions import changes, read_record
from maskmake.data.folders import list_images
from maskmake.data.layouts import is_pattern
from maskmake.data.pair_table import list_dataset_files
from maskmake.snakefile.job_changes import Changes

# The section of the configuration that a rule has among its params.
SECTIONS = {
    "validate": "dataset",
    "binarize": "dataset",
    "plan": "dataset",
    "synthesize": "dataset.synthesis",
    "download": "dataset.download",
    "retrieve": "dataset.storage",
    "split": "split",
    "plan_run": "train",
    "train_fold": "train",
    "predict_fold": "predict",
    "decide_run": "decide",
    "compare": "compare",
    "segment_shard": "predict",
    "export_run": "export",
}
# Params that have another name than their setting.
IN_THE_CONFIGURATION = {
    "dataset.selection": "dataset.channels",
    "dataset.value_range": "dataset.range",
    "dataset.threshold": "dataset.label_threshold",
    "dataset.tolerance": "dataset.label_tolerance",
    "train.objects": "decide.objects",
    "dataset.image_normalization": "train.normalization (image in all runs)",
}
# What a text among the params of a rule is.
TEXTS = {
    "predict_fold": "the setting train.backend was {} and is {}",
    "download": "the list dataset.download.checksums has other sums",
}
# A training reads it for one loss alone; otherwise it has None.
BY_THE_LOSS = ("train_fold", ("objects",))
PLANNED_WITH = "planned_with"  # of ``planned_params``
PREDICT = {"tile", "overlap", "tta"}
PARAMS_CHANGED = "Params have changed since last execution"
ENVIRONMENT_CHANGED = "Software environment definition has changed since last execution"
PARAMS = re.compile(
    rf"{PARAMS_CHANGED}: .*?before: (.*?) ?(?:; {ENVIRONMENT_CHANGED})?$", re.DOTALL
)
BETWEEN = " now: "
FILES = {
    "Missing output files": "missing",
    "Incomplete output files": "not complete",
    "Updated input files": "newer, with other bytes",
    "Input files updated by another job": "made again before it",
}
INTERRUPTED = "Interrupted"
FORCED = "Forced execution"
INPUTS_CHANGED = "Set of input files has changed since last execution"
OTHERS = {
    FORCED: "it is forced by an option",
    INPUTS_CHANGED: "it has other input files",
    "Code has changed since last execution": "its rule was edited",
    ENVIRONMENT_CHANGED: "its environment changed",
}
MOST = 3  # files that are named of many
NOTHING = "<nothing exclusive>"
ATTEMPT = "attempt "  # the beginning of a param
ABSENT = object()
NO_CHANGES = Changes()


def describe_reasons(
    rule: str, outputs: list[str], reason: str, changes: Changes = NO_CHANGES
) -> list[str]:
    """The causes of a job, one phrase each.

    Args:
        rule: its name.
        outputs: paths of its outputs.
        reason: what Snakemake 9 says of it, after ``INTERRUPTED`` if it was. Then Snakemake forces
            the job, though nobody asked for that.
        changes: what else has changed since the job last ended.
    """
    phrases = []
    if changes.interrupted:
        reason = f"{INTERRUPTED}; {reason}"
    if changes.params and PARAMS_CHANGED not in reason:
        reason = f"{reason}; {PARAMS_CHANGED}: {changes.params}"
    if reason.startswith(INTERRUPTED):
        phrases.append("it was interrupted")
        reason = reason.removeprefix(f"{INTERRUPTED}; ").replace(FORCED, "")
    for start, what in FILES.items():
        for part in reason.split("; "):
            if part.startswith(f"{start}: "):
                files = part.removeprefix(f"{start}: ").split(", ")
                phrases.append(f"{what}: {_listed(files)}")
    if params := _params(reason):
        before, now = params
        phrases += _changed_params(rule, before, now)
        if rule == "validate":
            record = Path(outputs[0]).with_name(".contents.csv")
            phrases += _changed_images(_files_now(record), record)
        if rule == "retrieve" and any(isinstance(param, list) for param in now):
            phrases.append("the storage holds more or less than it did")
        if rule == "segment_shard":
            record = Path(outputs[0]).with_suffix(".contents.csv")
            lists = (param for param in now if isinstance(param, list))
            phrases += _changed_images(next(lists, read_record(record)), record)
            if any(str(param).startswith(ATTEMPT) for param in before):
                phrases.append("images that could not be used are tried again")
    others = [words for start, words in OTHERS.items() if start in reason]
    if changes.new_inputs or changes.former_inputs:
        others = [words for words in others if words != OTHERS[INPUTS_CHANGED]]
    if changes.new_inputs:
        others.append(f"it has more input files: {_listed(changes.new_inputs)}")
    if changes.former_inputs:
        others.append(f"it no longer has the input files: {_listed(changes.former_inputs)}")
    return [*phrases, *others] or [reason]


def _listed(files: Iterable[str]) -> str:
    files = sorted(files)
    more = f" (and {len(files) - MOST} more)" if len(files) > MOST else ""
    return f"{', '.join(files[:MOST])}{more}"


def _params(reason: str) -> tuple[list, list] | None:
    """The params before and now that a reason names; ``None`` without any that can be read."""
    found = PARAMS.search(reason)
    parts = found[1].split(BETWEEN) if found else []
    for number in range(1, len(parts)):  # a text among them may have the same word
        with contextlib.suppress(SyntaxError, ValueError):
            before, now = BETWEEN.join(parts[:number]), BETWEEN.join(parts[number:])
            return _literals(before), _literals(now)
    return None


def _literals(text: str) -> list:
    """The params, read from their representations, which Snakemake has joined."""
    return [] if text == NOTHING else list(ast.literal_eval(f"({text},)"))


def _changed_params(rule: str, before: list, now: list) -> Iterator[str]:
    """Settings and code that differ; each dictionary is compared with the one most like it."""
    texts = [[param for param in params if isinstance(param, str)] for params in (before, now)]
    if rule in TEXTS and all(texts):
        yield TEXTS[rule].format(*(repr(some[0]) for some in texts))
    before = [param for param in before if isinstance(param, dict)]
    for param in (param for param in now if isinstance(param, dict)):
        former: dict = max(before, key=lambda other: len(other.keys() & param.keys()), default={})
        is_code = any(name.endswith(".py") for name in param)
        if rule == "plan_run" and not is_code:
            former, param = _as_planned(former, param)
        for path, old, new in _differences(former, param):
            if is_code:
                state = "is new" if old is ABSENT else "is gone" if new is ABSENT else "was edited"
                yield f"the code {'.'.join(path)} {state}"
            elif (rule, path) != BY_THE_LOSS or None not in (old, new):
                name = _name(rule, param, path)
                yield f"the setting {name} was {_value(old)} and is {_value(new)}"


def _as_planned(former: dict, param: dict) -> tuple[dict, dict]:
    """The settings of two plans, those of the former one by which it was really made."""
    former = {**former, **param.get(PLANNED_WITH, {})}
    sections = ({k: v for k, v in each.items() if k != PLANNED_WITH} for each in (former, param))
    return next(sections), next(sections)


def _name(rule: str, param: dict, path: tuple[str, ...]) -> str:
    """The name that a param has in the configuration."""
    section = SECTIONS.get(rule)
    if rule == "export_run" and param.keys() == PREDICT:
        section = "predict"
    # Of the report, the params have their sections.
    parts = path if path[0] in ("dataset", "split") or section is None else (section, *path)
    name = ".".join(parts)
    return IN_THE_CONFIGURATION.get(name, name)


def _differences(old, new, path=()) -> Iterator[tuple]:
    """Paths of keys at which two nested dictionaries differ, and what each has there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _differences(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))
    elif old is ABSENT or new is ABSENT or old != new:
        yield path, old, new


def _value(value) -> str:
    return "absent" if value is ABSENT else repr(value)


def _files_now(record: Path) -> list[str]:
    """What the places of a data set hold now, or the folders of the files in a record."""
    source = record.with_name(".source.json")
    places = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else {}
    if [len(places.get(kind, [])) for kind in ("images", "labels")] == [1, 1]:
        images, labels = places["images"][0], places["labels"][0]
        table = images if images == labels and Path(images).is_file() else None
        if table or all(is_pattern(place) or Path(place).is_dir() for place in (images, labels)):
            found = list_dataset_files(images, labels, table)
            return [*([table] if table else []), *(str(f) for files in found for f in files)]
    folders = sorted({Path(file).parent for file in read_record(record)})
    return [str(path) for folder in folders for path in list_images(folder)]


def _changed_images(files: Iterable[str], record: Path) -> Iterator[str]:
    for what, names in changes(files, record).items():
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        if names:
            yield f"{', '.join(names[:MOST])}{more} {'were' if len(names) > 1 else 'was'} {what}"
