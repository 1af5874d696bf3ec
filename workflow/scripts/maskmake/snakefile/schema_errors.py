"""What is wrong with a configuration by its schema, in a user's words."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, cast

from jsonschema import Draft202012Validator, ValidationError, validators

from maskmake.data.addresses import hide_all

# The schema's regular expressions in a user's words; a test keeps them complete.
PATTERN_WORDS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)": (
        "letters, digits, '_', '.' and '-', the first one a letter or digit"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$(?!\n)": (
        "letters, digits, '_' and '-', the first one a letter or digit"
    ),
    r"^[A-Za-z0-9_+() -]{5,128}$(?!\n)": (
        "5 to 128 letters, digits, blanks and '_', '+', '-', '(' and ')'"
    ),
    r"^[^/\\]+$(?!\n)": "a name without '/' and '\\'",
    r"^10[.][0-9]{4}": "a DOI such as 10.1371/journal.pbio.1000502",
    r"^[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]$(?!\n)": (
        "an ORCID iD such as 0000-0002-1825-0097"
    ),
    r"^[a-z0-9]+://[^{}\x00-\x1f]+$(?!\n)": (
        "an address such as https://host/images.zip or s3://bucket/images"
    ),
    r"^https?://[^{}\x00-\x1f]+$(?!\n)": "an address that begins with http:// or https://",
    r"^[0-9a-fA-F]{64}$(?!\n)": "64 hexadecimal digits",
    r"^#[0-9a-fA-F]{6}$(?!\n)": "a colour such as '#ff0000' (in quotes)",
}

NO_ADDRESS = {"pattern": "://"}  # what a text must not be that is a path

# User and password of an address whose scheme was forgotten.
CREDENTIALS = re.compile(r"[^\s'\"/]*:[^\s'\"]*@")

LONGEST_CHOICE_LIST = 8
LONGEST_TEXT = 200  # characters of what was found that are repeated


class Fault(NamedTuple):
    """One fault: the dotted keys that take part in it, and its sentence."""

    keys: tuple[str, ...]
    text: str


def dereferenced(schema: dict, root: dict) -> dict:
    """A schema with its ``$ref`` replaced by what it refers to; keys beside ``$ref`` win."""
    if "$ref" not in schema:
        return schema
    target = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**dereferenced(target, root), **schema}


def dotted(path: Iterable) -> str:
    """('split', 'test', 0) as split.test[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if type(part) is int and text else f".{part}"
    return text.removeprefix(".")


def _is_finite_number(_checker, value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


def schema_faults(config: dict, schema: dict) -> list[Fault]:
    """All faults of a configuration against its JSON schema, in the order of the keys."""
    errors = _Validator(schema).iter_errors(config)
    ordered = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    return [fault for error in ordered for fault in _faults_of(error, schema)]


def _faults_of(error: ValidationError, root: dict) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    key = dotted(path)
    # Set in every error that a validator finds; an error made by hand may lack them.
    schema, found = cast(dict, error.schema), cast(Any, error.instance)
    if error.validator == "additionalProperties":
        known = schema["properties"]
        for name in found:
            if name not in known:
                yield _unknown_key(path, name, list(known), root)
    elif error.validator == "required":
        for name in cast(list[str], error.validator_value):
            if name not in found:
                missing = dotted((*path, name))
                setting = schema["properties"][name]
                meaning = setting.get("description", _expected(setting, root)).removesuffix(".")
                yield Fault((missing,), f"{missing}: missing; expected: {meaning}")
    elif error.validator == "minProperties":
        yield Fault((key,), f"{key}: empty; expected at least {error.validator_value} entry")
    elif error.validator in ("maxProperties", "maxLength", "maxItems"):
        what = f"{len(found)} {'characters' if isinstance(found, str) else 'entries'}"
        yield Fault((key,), f"{key}: found {what}; expected at most {error.validator_value}")
    elif "propertyNames" in error.schema_path:
        expected = _expected(schema, root)
        yield Fault((key,), f"{key}: found the name {describe_value(found)}; expected {expected}")
    elif error.validator == "uniqueItems":
        twice = next(item for place, item in enumerate(found) if item in found[:place])
        text = f"{key}: found {describe_value(twice)} twice; expected different entries; remove one"
        yield Fault((key,), text)
    elif meant := _meant_branches(error):
        yield from _branch_faults(error, meant, root)
    else:
        yield Fault((key,), f"{key}: {_mismatch(found, schema, root)}")


def _meant_branches(error: ValidationError) -> dict[int, list[ValidationError]]:
    """Of a failed ``oneOf``: the branches that take the type of the value, and their errors.

    These are within a section or list, not about its type.
    """
    about_entries = ("additionalProperties", "required", "uniqueItems", "maxItems")
    branches: dict[int, list[ValidationError]] = {}
    for each in error.context or []:
        branches.setdefault(cast(int, each.relative_schema_path[0]), []).append(each)
    return {
        number: errors
        for number, errors in branches.items()
        if all(each.path or each.validator in about_entries for each in errors)
    }


def _branch_faults(
    error: ValidationError, meant: dict[int, list[ValidationError]], root: dict
) -> Iterator[Fault]:
    """The faults by the branch of a ``oneOf`` that the value comes nearest to.

    Of several as near, all that they take is expected: a fault by each would contradict the other.
    """
    wrong = {
        number: {entry for each in errors for entry in list(each.path)[:1] if type(entry) is int}
        for number, errors in meant.items()
    }
    key, schema = dotted(error.absolute_path), cast(dict, error.schema)
    in_all = set.intersection(*wrong.values())
    if len(meant) > 1 and not in_all:
        expected = _expected(schema, root)
        yield Fault((key,), f"{key}: found entries of different kinds; expected {expected}")
        return
    fewest = min(map(len, wrong.values()))
    nearest = [number for number, entries in wrong.items() if len(entries) == fewest]
    if len(nearest) == 1:
        for nested in meant[nearest[0]]:
            yield from _faults_of(nested, root)
        return
    items = {"oneOf": [_branches(schema, root)[number]["items"] for number in nearest]}
    for entry in sorted(in_all):
        place = dotted((*error.absolute_path, entry))
        mismatch = _mismatch(cast(list, error.instance)[entry], items, root)
        yield Fault((place,), f"{place}: {mismatch}")


def _mismatch(value, schema: dict, root: dict) -> str:
    """What was found, what is allowed, and how to write it where that is clear."""
    choices = _choices(schema, root)
    expected = _expected(schema, root)
    found = describe_value(value)
    number = _number_in(value) if _types(schema, root) & {"number", "integer"} else None
    if isinstance(value, str) and (number is not None or not choices):
        found = f"the text {found}"
    if number is not None:
        return f"found {found}; expected {expected}; write {number:f}"
    near = _nearest(value, choices) if isinstance(value, str) else []
    if near and len(choices) > LONGEST_CHOICE_LIST:
        return (
            f"found {found}; expected one of {len(choices)} choices; the nearest: "
            f"{joined(near, 'or')}"
        )
    question = f"; {_question(_best(value, choices))}" if near else ""
    quotes = "; put it in quotes" if _is_name_without_quotes(value, schema, root) else ""
    return f"found {found}; expected {expected}{question}{quotes}"


def _is_name_without_quotes(value, schema: dict, root: dict) -> bool:
    """Whether YAML took what would be right as a text, such as 2021, for something else."""
    if not isinstance(value, bool | int | float | date):
        return False
    return any(
        "string" in (branch.get("type") or ()) and re.search(branch.get("pattern", ""), str(value))
        for branch in _branches(schema, root)
    )


def describe_value(value) -> str:
    """What a user has written, in words; of a text its beginning, without passwords and keys."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        readings = "yes and on" if value else "no and off"
        return f"the truth value {str(value).lower()} (YAML reads {readings} as that, too)"
    if isinstance(value, str):
        hidden = CREDENTIALS.sub("***@", hide_all(value))
        text = shortened(hidden).replace("\n", "\\n")
        return f"'{text}'"
    if isinstance(value, dict):
        return "a section of settings"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return f"the date {value}"
    return str(value)


def shortened(text: str) -> str:
    """The beginning of a text that is very long."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


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
    schema = dereferenced(schema, root)
    if "oneOf" not in schema:
        return [schema]
    return [branch for each in schema["oneOf"] for branch in _branches(each, root)]


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
    return [choice if isinstance(choice, str) else json.dumps(choice) for choice in choices]


def _expected(schema: dict, root: dict) -> str:
    """The allowed values of a schema in plain words."""
    words = []
    choices = _choices(schema, root)
    for branch in _branches(schema, root):
        if "enum" in branch or "const" in branch:
            continue
        kinds = branch.get("type", "string")
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            words.append(_describe_kind(kind, branch, root))
    return joined([f"'{c}'" if words and len(choices) == 1 else c for c in choices] + words, "or")


def _describe_kind(kind: str, schema: dict, root: dict) -> str:
    if kind in ("number", "integer"):
        return _describe_number(kind, schema)
    if kind == "string":
        pattern = schema.get("pattern")
        if schema.get("not") == NO_ADDRESS:
            return "a path"
        return PATTERN_WORDS.get(pattern, f"text that matches {pattern}") if pattern else "text"
    if kind == "array":
        return f"{_describe_list(schema)} ({_expected(schema['items'], root)})"
    return {"boolean": "true or false", "null": "null", "object": "a section of settings"}[kind]


def _describe_list(schema: dict) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    entries = "different entries" if schema.get("uniqueItems") else "entries"
    if most is not None:
        return f"a list of {f'{least} to' if least else 'at most'} {most} {entries}"
    if least:
        return "a list of one entry or more"
    return f"a list of {entries}" if schema.get("uniqueItems") else "a list"


def _describe_number(kind: str, schema: dict) -> str:
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
    return f"{noun} {joined(limits, 'and')}".rstrip()


def joined(words: list[str], conjunction: str) -> str:
    """Words as an enumeration: ``a, b and c``."""
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
    return f"did you mean {joined([repr(word) for word in words], 'or')}?"


def _unknown_key(path: tuple, name: str, known: list[str], root: dict) -> Fault:
    key = dotted((*path, name))
    meant = _best(name, known)
    places = _sections_of(name, path, root)
    belongs = f"'{name}' belongs {places}"
    before, colon, value = name.partition(":")
    if colon and before in known:
        meant, hint = [before], f"write a space after the colon: '{before}: {value}'"
    elif meant:
        hint = f"{_question(meant)} ({belongs})" if places else _question(meant)
    elif places:
        hint = belongs
    elif elsewhere := _best(name, sorted({other for _, other in _all_keys(root)})):
        hint = f"{_question(elsewhere[:1])} It belongs {_sections_of(elsewhere[0], path, root)}"
    else:
        hint = f"known here: {joined(known, 'and')}"
    targets = [dotted((*path, target)) for target in meant]
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
    """Where a key belongs, as a phrase; for a key of a run, train is the run's own section."""
    run = path[:2] if path[:1] == ("runs",) else ()
    sections = [
        dotted((*run, *section) if section[:1] == ("train",) else section)
        for section, other in _all_keys(root)
        if other == name
    ]
    if sections == [""]:
        return "at the top level"
    return f"under {joined(sections, 'or')}" if sections else ""
