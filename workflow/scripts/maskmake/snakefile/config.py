"""The user's configuration: checked against its schema, completed by defaults, its runs merged.

The Snakefile imports this module each time it is parsed, so it needs nothing but jsonschema
and packaging.
"""

import copy
import os.path
import re
from collections.abc import Iterator

from maskmake.runtime.errors import UserError
from maskmake.snakefile.export_faults import export_faults
from maskmake.snakefile.mask_faults import mask_faults
from maskmake.snakefile.schema_errors import (
    Fault,
    dereferenced,
    describe_value,
    dotted,
    joined,
    schema_faults,
)
from maskmake.snakefile.train_faults import train_faults

# 1000 runs with every setting have half of it.
MOST_ENTRIES = 100_000
DEEPEST = 20
LARGEST_NUMBER = 10**100


def resolve(config: dict | None, schema: dict) -> dict:
    """Check a configuration and complete it.

    Args:
        config: the user's configuration as YAML gives it; an empty section counts as ``{}``.
        schema: workflow/schemas/config.schema.yaml, loaded.

    Returns:
        A new dict with every key of the schema, at each level sorted by name. ``runs`` maps the
        name of each run to its complete ``train`` section.

    Raises:
        UserError: all faults of the configuration, one sentence each.
    """
    if config is not None and not isinstance(config, dict):
        raise UserError(
            f"The configuration is {describe_value(config)}; expected sections of settings, "
            "such as dataset: {images: data/images, labels: data/labels}."
        )
    _check_size(config)
    faults: list[Fault] = []
    config = _prepared(config, schema, schema, (), faults)
    faults.extend(schema_faults(config, schema))
    sound = _without_faulty_keys(config, faults)
    resolved = _complete(sound, schema, schema)
    overlays = resolved["runs"]
    resolved["runs"] = {
        name: _complete(
            _merged(resolved["train"], overlay.get("train", {})), _train(schema), schema
        )
        for name, overlay in overlays.items()
    }
    faulty = [key for fault in faults for key in fault.keys]
    for fault in _combination_faults(resolved, overlays):
        if not any(_touches(key, other) for key in fault.keys for other in faulty):
            faults.append(fault)
    if faults:
        raise UserError(_report(faults))
    return _sorted(resolved)


def _check_size(config) -> None:
    """Refuse what aliases of YAML make of a short text, and numbers that nothing can write."""
    refusal = (
        f"The configuration has more than {MOST_ENTRIES} entries or {DEEPEST} levels; expected "
        "settings; check the aliases, such as *a, of its file."
    )
    values, count = [(config, 0)], 0
    while values:
        value, level = values.pop()
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise UserError("The configuration has a number of more than 100 digits; shorten it.")
        if isinstance(value, dict | list):
            count += len(value)
            if count > MOST_ENTRIES or level > DEEPEST:
                raise UserError(refusal)
            values += [(item, level + 1) for item in inner]


def _report(faults: list[Fault]) -> str:
    lines = list(dict.fromkeys(fault.text for fault in faults))
    count = "a fault" if len(lines) == 1 else f"{len(lines)} faults"
    return "\n".join([f"The configuration has {count}:", *(f"  {line}" for line in lines)])


# --- the tree of settings -------------------------------------------------------------------


def _train(schema: dict) -> dict:
    return schema["properties"]["train"]


def _prepared(value, schema: dict, root: dict, path: tuple, faults: list[Fault]):
    """A copy in which empty sections are ``{}``; keys that are not text are noted as faults."""
    schema = dereferenced(schema, root)
    if value is None and schema.get("type") == "object":
        return copy.deepcopy(schema.get("default", {}))
    if isinstance(value, list):
        items = schema.get("items") or {}
        numbered = enumerate(value)
        return [_prepared(item, items, root, (*path, n), faults) for n, item in numbered]
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    others = schema.get("additionalProperties") or {}
    prepared = {}
    for name, item in value.items():
        if not isinstance(name, str):
            key = dotted((*path, str(name)))
            faults.append(
                Fault(
                    (key,),
                    f"{key}: the key is {describe_value(name)}; expected text; put it in quotes",
                )
            )
            if not others:
                continue
            name = str(name)
        child = schema.get("properties", {}).get(name, others)
        prepared[name] = _prepared(item, child, root, (*path, name), faults)
    return prepared


def _complete(value, schema: dict, root: dict):
    """A copy with the schema's defaults filled in; 256.0 becomes 256 where integers belong."""
    schema = dereferenced(schema, root)
    alternatives = [dereferenced(branch, root) for branch in schema.get("oneOf", [schema])]
    if isinstance(value, float) and value.is_integer():
        return int(value) if any(a.get("type") == "integer" for a in alternatives) else value
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    completed = copy.deepcopy(value)
    children: dict = next((a["properties"] for a in alternatives if "properties" in a), {})
    for name, child in children.items():
        child = dereferenced(child, root)
        if name in value or "default" in child:
            completed[name] = _complete(value.get(name, child.get("default")), child, root)
    return completed


def _merged(base: dict, overlay: dict) -> dict:
    merged = copy.deepcopy(base)
    for name, value in overlay.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else copy.deepcopy(value)
    return merged


def _sorted(value):
    if not isinstance(value, dict):
        return value
    return {name: _sorted(value[name]) for name in sorted(value)}


def _touches(key: str, other: str) -> bool:
    """Whether two dotted keys are the same or one holds the other."""
    shorter, longer = sorted([key, other], key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def _without_faulty_keys(config: dict, faults: list[Fault]) -> dict:
    """The part of the configuration that can still be checked for faulty combinations."""
    faulty = {fault.keys[0] for fault in faults}

    def sound(section: dict, path: tuple) -> dict:
        kept = {}
        for name, value in section.items():
            key = dotted((*path, name))
            if key in faulty or any(other.startswith(f"{key}[") for other in faulty):
                continue
            kept[name] = sound(value, (*path, name)) if isinstance(value, dict) else value
        return kept

    return sound(config, ())


# --- faults of combinations -----------------------------------------------------------------


def _combination_faults(resolved: dict, overlays: dict) -> Iterator[Fault]:
    """Settings that are right alone and wrong together."""
    yield from _dataset_faults(resolved["dataset"], resolved["segment"])
    yield from _groups_faults(resolved["dataset"]["groups"])
    yield from _split_faults(resolved["split"])
    yield from train_faults(resolved["runs"], overlays)
    yield from mask_faults(resolved["runs"], resolved["predict"], resolved["decide"])
    yield from export_faults(resolved["export"])
    yield from _name_faults(resolved["runs"], resolved["segment"], resolved["compare"])


def _name_faults(runs: dict, segment: dict, compare: dict) -> Iterator[Fault]:
    if segment["run"] is not None and segment["model"] is not None:
        yield Fault(
            ("segment.run", "segment.model"),
            "segment.run: set together with segment.model; the model is one or the other; set one "
            "of the two to null",
        )
    yield from _case_faults(runs)
    named = {
        "segment.run": filter(None, [segment["run"]]),
        "compare.leave_out": compare["leave_out"],
    }
    for key, names in named.items():
        for name in names:
            if name not in runs:
                expected = f"expected one of the runs: {joined(sorted(runs), 'or')}"
                yield Fault((key, "runs"), f"{key}: found '{name}'; {expected}")
    if runs.keys() <= set(compare["leave_out"]):
        yield Fault(
            ("compare.leave_out", "runs"),
            "compare.leave_out: found every run; expected at least one that stays in the report; "
            "remove one",
        )


def _case_faults(runs: dict) -> Iterator[Fault]:
    """Of runs that would share their folders on disks of Windows and macOS."""
    spelled: dict[str, str] = {}
    for name in runs:
        other = spelled.setdefault(name.lower(), name)
        if other != name:
            yield Fault(
                (f"runs.{name}", f"runs.{other}"),
                f"runs: found '{other}' and '{name}', which are one folder on some disks; expected "
                "names that differ in more than small and capital letters; rename one",
            )


def _label_faults(dataset: dict) -> Iterator[Fault]:
    foreground, ignore = (
        {str(each).lower() for each in (value if isinstance(value, list) else [value])}
        for value in (dataset["foreground"], dataset["ignore"])
    )
    if both := sorted(foreground & ignore):
        yield Fault(
            ("dataset.foreground", "dataset.ignore"),
            f"dataset.ignore: found {' and '.join(both)}, which dataset.foreground has too; "
            "expected other values; remove them from one of the two",
        )
    if dataset["label_threshold"] is not None and dataset["foreground"] != "auto":
        yield Fault(
            ("dataset.foreground", "dataset.label_threshold"),
            "dataset.label_threshold: found together with dataset.foreground; expected one of "
            "them; remove the threshold where values are named",
        )


def _dataset_faults(dataset: dict, segment: dict) -> Iterator[Fault]:
    images, labels = dataset["images"], dataset["labels"]
    keys = ("dataset.images", "dataset.labels")
    yield from _label_faults(dataset)
    if dataset["synthesis"] is not None:
        for other in ("images", "labels", "table", "download", "storage"):
            if dataset[other] is not None:
                yield Fault(
                    ("dataset.synthesis", f"dataset.{other}"),
                    f"dataset.synthesis: set together with dataset.{other}; images are either "
                    "made or read; set one of the two to null",
                )
        return
    if dataset["table"] is not None:
        if "://" in dataset["table"]:
            yield Fault(
                ("dataset.table",),
                "dataset.table: found an address; expected the path of a file; fetch it, and name "
                "the file",
            )
        for other in ("images", "labels", "download", "storage", "groups"):
            if dataset[other] is not None:
                yield Fault(
                    ("dataset.table", f"dataset.{other}"),
                    f"dataset.table: set together with dataset.{other}; a table names all files "
                    "and, in its column group, what belongs together; set one of the two to null",
                )
        return
    if dataset["storage"] is not None:
        for other in ("images", "labels", "download"):
            if dataset[other] is not None:
                yield Fault(
                    ("dataset.storage", f"dataset.{other}"),
                    f"dataset.storage: set together with dataset.{other}; images are read from one "
                    "place; set one of the two to null",
                )
        return
    if (images is None) != (labels is None):
        given, missing = keys if labels is None else reversed(keys)
        yield Fault(
            (missing, given), f"{missing}: missing; expected a folder, since {given} names one"
        )
    elif images is None:
        sources = ("dataset.synthesis", "dataset.download", "segment.model", "segment.images")
        trained = segment["model"] is not None and segment["images"] is not None
        if dataset["download"] is None and not trained:
            yield Fault(
                (*keys, *sources),
                "dataset: no data; set dataset.images and dataset.labels to two folders, or "
                "dataset.synthesis to {} for synthetic images, or, to use a trained model, "
                "segment.model and segment.images",
            )
    elif any("://" in folder for folder in (images, labels)):
        yield Fault(
            keys,
            "dataset.images, dataset.labels: found an address; expected two folders; name "
            "addresses in dataset.storage",
        )
    elif os.path.normpath(images) == os.path.normpath(labels):
        yield Fault(
            keys,
            f"dataset.labels: '{labels}' is also dataset.images; expected two folders, or two "
            "patterns such as data/*_image.png and data/*_mask.png",
        )


def _groups_faults(groups: str | None) -> Iterator[Fault]:
    if groups is None:
        return
    try:
        count = re.compile(groups).groups
    except (re.error, OverflowError, RecursionError) as error:
        yield Fault(
            ("dataset.groups",),
            f"dataset.groups: '{groups}' is not a regular expression ({error}); expected one such "
            r"as '^(patient\d+)_'",
        )
    else:
        if count != 1:
            yield Fault(
                ("dataset.groups",),
                f"dataset.groups: '{groups}' has {count} groups in parentheses; expected one; "
                "write (?:...) for parentheses that are no group",
            )


def _split_faults(split: dict) -> Iterator[Fault]:
    if split["method"] == "folders":
        return
    parts = ["test", "validation"] if split["folds"] == 1 else ["test"]
    uses = {
        "test": "no image would be left to score",
        "validation": "no image would be left to learn the threshold on",
    }
    for part in parts:
        if split[part] == 0:
            yield Fault(
                (f"split.{part}", "split.folds", "split.method"),
                f"split.{part}: found 0; {uses[part]}; expected a share above 0 or a list of ids",
            )
    shares = [split[part] for part in parts]
    if all(isinstance(share, int | float) for share in shares) and sum(shares) >= 1:
        yield Fault(
            ("split.test", "split.validation", "split.folds", "split.method"),
            f"split.validation: {split['validation']:g} and split.test {split['test']:g} add up to "
            f"{sum(shares):g}; expected less than 1, so that images are left to train on",
        )
