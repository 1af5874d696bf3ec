"""Why Snakemake would run a job again, in words that name the setting, the code or the file."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from maskmake.data.file_versions import changes, read_record
from maskmake.data.folders import list_images
from maskmake.data.layouts import is_pattern
from maskmake.data.pair_table import list_dataset_files

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
PARAMS = re.compile(
    r"Params have changed since last execution: .*?before: (.*?) now: (.*?) ?(?:; Software|$)"
)
FILES = {
    "Missing output files": "missing",
    "Incomplete output files": "not complete",
    "Updated input files": "newer, with other bytes",
    "Input files updated by another job": "made again before it",
}
INTERRUPTED = "Interrupted"
FORCED = "Forced execution"
OTHERS = {
    FORCED: "it is forced by an option",
    "Set of input files has changed since last execution": "it has other input files",
    "Code has changed since last execution": "its rule was edited",
    "Software environment definition has changed since last execution": "its environment changed",
}
MOST = 3  # files that are named of many
NOTHING = "<nothing exclusive>"
ATTEMPT = "attempt "  # the beginning of a param
ABSENT = object()


def describe_reasons(rule: str, outputs: list[str], reason: str) -> list[str]:
    """The causes of a job, one phrase each.

    Args:
        rule: its name.
        outputs: paths of its outputs.
        reason: what Snakemake 9 says of it, after ``INTERRUPTED`` if it was. Then Snakemake forces
            the job, though nobody asked for that.
    """
    phrases = []
    if reason.startswith(INTERRUPTED):
        phrases.append("it was interrupted")
        reason = reason.removeprefix(f"{INTERRUPTED}; ").replace(FORCED, "")
    for start, what in FILES.items():
        for part in reason.split("; "):
            if part.startswith(f"{start}: "):
                files = part.removeprefix(f"{start}: ").split(", ")
                more = f" (and {len(files) - MOST} more)" if len(files) > MOST else ""
                phrases += [f"{what}: {', '.join(sorted(files)[:MOST])}{more}"]
    if found := PARAMS.search(reason):
        before, now = map(_literals, found.groups())
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
    phrases += [words for start, words in OTHERS.items() if start in reason]
    return phrases or [reason]


def _literals(text: str) -> list:
    """The params, read from their representations, which Snakemake has joined."""
    return [] if text == NOTHING else list(ast.literal_eval(f"({text},)"))


def _changed_params(rule: str, before: list, now: list) -> Iterator[str]:
    """Settings and code that differ; each dictionary is compared with the one most like it."""
    before = [param for param in before if isinstance(param, dict)]
    for param in (param for param in now if isinstance(param, dict)):
        former: dict = max(before, key=lambda other: len(other.keys() & param.keys()), default={})
        is_code = any(name.endswith(".py") for name in param)
        for path, old, new in _differences(former, param):
            if is_code:
                state = "is new" if old is ABSENT else "is gone" if new is ABSENT else "was edited"
                yield f"the code {'.'.join(path)} {state}"
            else:
                section = [] if path[0] in ("dataset", "split") else [SECTIONS.get(rule)]
                name = ".".join(filter(None, [*section, *path]))
                name = IN_THE_CONFIGURATION.get(name, name)
                yield f"the setting {name} was {_value(old)} and is {_value(new)}"


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
