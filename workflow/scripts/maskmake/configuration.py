"""The user's configuration: checked against its schema, completed by defaults, its runs merged.

The Snakefile imports this room each time it is parsed, so it needs nothing but jsonschema.
"""

import copy
import difflib
import math
import os.path
import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from jsonschema import Draft202012Validator, ValidationError, validators

from maskmake.log import UserError

# The schema's regular expressions in a user's words; a test keeps them complete.
PATTERN_WORDS = {
    "^[A-Za-z0-9][A-Za-z0-9_.-]*$": (
        "letters, digits, '_', '.' and '-', the first one a letter or digit"
    ),
    "^[A-Za-z0-9][A-Za-z0-9_-]*$": "letters, digits, '_' and '-', the first one a letter or digit",
    "^https?://": "an address that begins with http:// or https://",
}

LONGEST_CHOICE_LIST = 8

# PSPNet pools an eighth of the patch into 6 x 6 cells, and the encoder halves the patch five
# times: a side has to be a multiple of 48 and of 32.
PSPNET_MULTIPLE = 96


class Fault(NamedTuple):
    """One fault: the dotted keys that take part in it, and its sentence."""

    keys: tuple[str, ...]
    text: str


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
            f"The configuration is {_found(config)}; expected sections of settings, such as "
            "dataset: {images: data/images, labels: data/labels}."
        )
    faults: list[Fault] = []
    config = _prepared(config, schema, schema, (), faults)
    for error in _schema_errors(config, schema):
        faults.extend(_faults_of(error, schema))
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


def _report(faults: list[Fault]) -> str:
    lines = list(dict.fromkeys(fault.text for fault in faults))
    count = "a fault" if len(lines) == 1 else f"{len(lines)} faults"
    return "\n".join([f"The configuration has {count}:", *(f"  {line}" for line in lines)])


# --- the tree of settings -------------------------------------------------------------------


def _dereferenced(schema: dict, root: dict) -> dict:
    """A schema with its ``$ref`` replaced by what it refers to; keys beside ``$ref`` win."""
    if "$ref" not in schema:
        return schema
    target = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**_dereferenced(target, root), **schema}


def _train(schema: dict) -> dict:
    return schema["properties"]["train"]


def _prepared(value, schema: dict, root: dict, path: tuple, faults: list[Fault]):
    """A copy in which empty sections are ``{}``; keys that are not text are noted as faults."""
    schema = _dereferenced(schema, root)
    if value is None and schema.get("type") == "object":
        return copy.deepcopy(schema.get("default", {}))
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    others = schema.get("additionalProperties") or {}
    prepared = {}
    for name, item in value.items():
        if not isinstance(name, str):
            key = _dotted((*path, str(name)))
            faults.append(
                Fault((key,), f"{key}: the key is {_found(name)}; expected text; put it in quotes")
            )
            if not others:
                continue
            name = str(name)
        child = schema.get("properties", {}).get(name, others)
        prepared[name] = _prepared(item, child, root, (*path, name), faults)
    return prepared


def _complete(value, schema: dict, root: dict):
    """A copy with the schema's defaults filled in; 256.0 becomes 256 where integers belong."""
    schema = _dereferenced(schema, root)
    alternatives = [_dereferenced(branch, root) for branch in schema.get("oneOf", [schema])]
    if isinstance(value, float) and value.is_integer():
        return int(value) if any(a.get("type") == "integer" for a in alternatives) else value
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    completed = copy.deepcopy(value)
    children = next((a["properties"] for a in alternatives if "properties" in a), {})
    for name, child in children.items():
        child = _dereferenced(child, root)
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


def _dotted(path: Iterable) -> str:
    """('split', 'test', 0) as split.test[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if type(part) is int and text else f".{part}"
    return text.removeprefix(".")


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
            key = _dotted((*path, name))
            if key in faulty or any(other.startswith(f"{key}[") for other in faulty):
                continue
            kept[name] = sound(value, (*path, name)) if isinstance(value, dict) else value
        return kept

    return sound(config, ())


# --- faults against the schema --------------------------------------------------------------


def _is_finite_number(_checker, value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


def _schema_errors(config: dict, schema: dict) -> list[ValidationError]:
    errors = _Validator(schema).iter_errors(config)
    return sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])


def _faults_of(error: ValidationError, root: dict) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    key = _dotted(path)
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        for name in error.instance:
            if name not in known:
                yield _unknown_key(path, name, list(known), root)
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                missing = _dotted((*path, name))
                meaning = error.schema["properties"][name]["description"].removesuffix(".")
                yield Fault((missing,), f"{missing}: missing; needed is: {meaning}")
    elif error.validator == "minProperties":
        yield Fault((key,), f"{key}: empty; expected at least {error.validator_value} entry")
    elif "propertyNames" in error.schema_path:
        expected = _expected(error.schema, root)
        yield Fault((key,), f"{key}: found the name '{error.instance}'; expected {expected}")
    elif inner := _errors_inside(error):
        for nested in inner:
            yield from _faults_of(nested, root)
    else:
        yield Fault((key,), f"{key}: {_mismatch(error.instance, error.schema, root)}")


def _errors_inside(error: ValidationError) -> list[ValidationError]:
    """Of a failed ``oneOf``: the errors within a section or list, not about its type."""
    return [e for e in error.context or [] if e.path or e.validator == "additionalProperties"]


def _mismatch(value, schema: dict, root: dict) -> str:
    """What was found, what is allowed, and how to write it where that can be told."""
    choices = _choices(schema, root)
    expected = _expected(schema, root)
    found = _found(value)
    number = _number_in(value) if _types(schema, root) & {"number", "integer"} else None
    if isinstance(value, str) and (number is not None or not choices):
        found = f"the text {found}"
    if number is not None:
        return f"found {found}; expected {expected}; write {number:f}"
    near = _nearest(value, choices) if isinstance(value, str) else []
    if near and len(choices) > LONGEST_CHOICE_LIST:
        return (
            f"found {found}; expected one of {len(choices)} choices; the nearest: "
            f"{_joined(near, 'or')}"
        )
    question = f"; {_question(_best(value, choices))}" if near else ""
    return f"found {found}; expected {expected}{question}"


def _found(value) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        readings = "yes and on" if value else "no and off"
        return f"the truth value {str(value).lower()} (YAML reads {readings} as that, too)"
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, dict):
        return "a section of settings"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return f"the date {value}"
    return str(value)


def _number_in(value) -> Decimal | None:
    """The number that a text was meant to be: YAML 1.1 takes 1e-3 without a dot for text."""
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _branches(schema: dict, root: dict) -> list[dict]:
    schema = _dereferenced(schema, root)
    return [_dereferenced(branch, root) for branch in schema.get("oneOf", [schema])]


def _types(schema: dict, root: dict) -> set[str]:
    types: set[str] = set()
    for branch in _branches(schema, root):
        kind = branch.get("type", [])
        types |= {kind} if isinstance(kind, str) else set(kind)
    return types


def _choices(schema: dict, root: dict) -> list[str]:
    choices: list = []
    for branch in _branches(schema, root):
        choices += branch.get("enum", [])
        choices += [branch["const"]] if "const" in branch else []
    return ["null" if choice is None else str(choice) for choice in choices]


def _expected(schema: dict, root: dict) -> str:
    """The allowed values of a schema in plain words."""
    words = []
    choices = _choices(schema, root)
    for branch in _branches(schema, root):
        if "enum" in branch or "const" in branch:
            continue
        kinds = branch.get("type", "string")
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            words.append(_kind_in_words(kind, branch, root))
    return _joined([f"'{c}'" if words and len(choices) == 1 else c for c in choices] + words, "or")


def _kind_in_words(kind: str, schema: dict, root: dict) -> str:
    if kind in ("number", "integer"):
        return _number_in_words(kind, schema)
    if kind == "string":
        pattern = schema.get("pattern")
        return PATTERN_WORDS.get(pattern, f"text that matches {pattern}") if pattern else "text"
    if kind == "array":
        return f"a list of one entry or more ({_expected(schema['items'], root)})"
    return {"boolean": "true or false", "null": "null", "object": "a section of settings"}[kind]


def _number_in_words(kind: str, schema: dict) -> str:
    noun = "a whole number" if kind == "integer" else "a number"
    if "multipleOf" in schema:
        noun = f"a multiple of {schema['multipleOf']}"
    if "minimum" in schema and "maximum" in schema:
        return f"{noun} from {schema['minimum']} to {schema['maximum']}"
    bounds = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    limits = [f"{words} {schema[bound]}" for bound, words in bounds.items() if bound in schema]
    return f"{noun} {_joined(limits, 'and')}".rstrip()


def _joined(words: list[str], conjunction: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def _nearest(word: str, known: Iterable[str]) -> list[str]:
    """Up to three known words like ``word``, whatever their case, the most like it first."""
    by_lower = {name.lower(): name for name in known}
    return [by_lower[low] for low in difflib.get_close_matches(word.lower(), by_lower)]


def _best(word: str, known: Iterable[str]) -> list[str]:
    """Of the nearest known words, those that are equally like ``word``."""

    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, other.lower(), word.lower()).ratio()

    near = _nearest(word, known)
    return [name for name in near if likeness(name) == likeness(near[0])]


def _question(words: list[str]) -> str:
    return f"did you mean {_joined([repr(word) for word in words], 'or')}?"


def _unknown_key(path: tuple, name: str, known: list[str], root: dict) -> Fault:
    key = _dotted((*path, name))
    meant = _best(name, known)
    places = _sections_of(name, path, root)
    belongs = f"'{name}' belongs {places}"
    if meant:
        hint = f"{_question(meant)} ({belongs})" if places else _question(meant)
    elif places:
        hint = belongs
    elif elsewhere := _best(name, sorted({other for _, other in _all_keys(root)})):
        hint = f"{_question(elsewhere[:1])} It belongs {_sections_of(elsewhere[0], path, root)}"
    else:
        hint = f"known here: {_joined(known, 'and')}"
    targets = [_dotted((*path, target)) for target in meant]
    return Fault((key, *targets), f"{key}: unknown key; {hint}")


def _all_keys(root: dict) -> Iterator[tuple[tuple, str]]:
    """Every key of the schema after the path of its section; a run's section is that of train."""

    def keys(schema: dict, path: tuple) -> Iterator[tuple[tuple, str]]:
        for branch in _branches(schema, root):
            for name, child in branch.get("properties", {}).items():
                yield path, name
                yield from keys(child, (*path, name))

    return keys(root, ())


def _sections_of(name: str, path: tuple, root: dict) -> str:
    """Where a key belongs, in words; to a key of a run, the section train is the run's own."""
    run = path[:2] if path[:1] == ("runs",) else ()
    sections = [
        _dotted((*run, *section) if section[:1] == ("train",) else section)
        for section, other in _all_keys(root)
        if other == name
    ]
    if sections == [""]:
        return "at the top level"
    return f"under {_joined(sections, 'or')}" if sections else ""


# --- faults of combinations -----------------------------------------------------------------


def _combination_faults(resolved: dict, overlays: dict) -> Iterator[Fault]:
    """Settings that are right alone and wrong together."""
    yield from _dataset_faults(resolved["dataset"], resolved["segment"])
    yield from _groups_faults(resolved["dataset"]["groups"], resolved["split"]["method"])
    yield from _split_faults(resolved["split"])
    yield from _patch_faults(resolved["runs"], overlays)
    run = resolved["segment"]["run"]
    if run is not None and run not in resolved["runs"]:
        expected = f"expected one of the runs: {_joined(sorted(resolved['runs']), 'or')}"
        yield Fault(("segment.run", "runs"), f"segment.run: found '{run}'; {expected}")


def _dataset_faults(dataset: dict, segment: dict) -> Iterator[Fault]:
    images, labels = dataset["images"], dataset["labels"]
    keys = ("dataset.images", "dataset.labels")
    if dataset["synthesis"] is not None:
        for other in ("images", "labels", "download"):
            if dataset[other] is not None:
                yield Fault(
                    ("dataset.synthesis", f"dataset.{other}"),
                    f"dataset.synthesis: set together with dataset.{other}; images are either "
                    "made or read; set one of the two to null",
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
                "dataset.synthesis to {} for made images, or, to use a trained model, "
                "segment.model and segment.images",
            )
    elif os.path.normpath(images) == os.path.normpath(labels):
        yield Fault(
            keys,
            f"dataset.labels: the folder '{labels}' is also dataset.images; expected two folders",
        )


def _groups_faults(groups: str | None, method: str) -> Iterator[Fault]:
    if groups is None:
        return
    try:
        count = re.compile(groups).groups
    except re.error as error:
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
    if method == "block":
        yield Fault(
            ("dataset.groups", "split.method"),
            "dataset.groups: has no effect while split.method is block; set split.method to "
            "random, or dataset.groups to null",
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


def _patch_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        patch = train["patch"]
        if train["architecture"] != "PSPNet" or patch % PSPNET_MULTIPLE == 0:
            continue
        own = overlays[name].get("train", {}).keys() & {"architecture", "patch"}
        section = f"runs.{name}.train" if own else "train"
        below = patch // PSPNET_MULTIPLE * PSPNET_MULTIPLE
        near = [str(size) for size in (below, below + PSPNET_MULTIPLE) if size]
        yield Fault(
            (f"{section}.patch", f"{section}.architecture", "train.patch", "train.architecture"),
            f"{section}.patch: found {patch}; PSPNet needs a multiple of {PSPNET_MULTIPLE}; write "
            f"{_joined(near, 'or')}",
        )
