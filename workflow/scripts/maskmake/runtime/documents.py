"""Reading JSON documents, and checking them against the types that the code gives them.

The Snakefile reads documents too, so this module needs no array.
"""

import json
import math
import types
from collections.abc import Collection
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import best_match

from maskmake.runtime.errors import UserError

# A decision learned on 400,000 images has so many bytes. A hostile document of this size, all
# brackets, takes half a gigabyte.
MOST_BYTES = 2**25
LONGEST_MESSAGE = 200

SIMPLE: dict[Any, str] = {
    float: "number",
    int: "integer",
    str: "string",
    bool: "boolean",
    dict: "object",
    types.NoneType: "null",
}


class Keywords:
    """More keywords of the JSON schema of a type, such as ``Keywords(minimum=0)``.

    An object and no ``dict``, since types in a union have to be hashable.
    """

    def __init__(self, **keywords):
        self.keywords = keywords


REMEDY = "copy it again from where it was made, or remove it and run the step that makes it."


def read_json(path: str | Path):
    """Read a JSON document.

    Raises:
        UserError: the file is not a whole JSON document, or far too large for one of maskmake.
    """
    path = Path(path)
    if path.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{path}: {path.stat().st_size} bytes; expected at most {MOST_BYTES}; {REMEDY}"
        )
    try:
        return json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite
        )
    except RecursionError:
        raise UserError(f"{path}: nested too deeply to be read as JSON; {REMEDY}") from None
    except ValueError as error:  # not JSON, or not UTF-8
        raise UserError(f"{path}: not a whole JSON document ({error}); {REMEDY}") from None


def _refuse(name: str):
    raise ValueError(f"the number {name}, which JSON does not have")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def read_document(path: str | Path, kind: Any, required: Collection[str] | None = None):
    """Read a JSON document whose contents are of a type, such as a ``TypedDict``.

    Args:
        path: of the file.
        kind: the type. Ranges and the like stand in its annotations, see ``schema_of``.
        required: the keys that have to be there; None: those that a ``TypedDict`` requires.

    Returns:
        The contents; keys that the type does not have are kept.

    Raises:
        UserError: the file is no JSON document, or a value is missing or is not what it should be.
    """
    contents = read_json(path)
    schema = schema_of(kind)
    if required is not None:
        schema = {**schema, "required": sorted(required)}
    error = best_match(_Validator(schema).iter_errors(contents))
    if error is not None:
        key = ".".join(map(str, error.absolute_path))
        found = error.message
        if len(found) > LONGEST_MESSAGE:
            found = f"{found[: LONGEST_MESSAGE // 2]} ... {found[-LONGEST_MESSAGE // 2 :]}"
        raise UserError(f"{path}: {key}{': ' if key else ''}{found}; {REMEDY}")
    return contents


def schema_of(kind) -> dict:
    """The JSON schema of a type.

    Args:
        kind: a ``TypedDict``, whose keys are required unless they are ``NotRequired``; a list, a
            ``Literal``, a union with None, a simple type, ``Any``, or one of these in
            ``Annotated`` with more keywords of the schema, such as
            ``Annotated[float, Keywords(minimum=0)]``.
    """
    if kind is Any:
        return {}
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {
            "type": "object",
            "properties": {name: schema_of(hint) for name, hint in hints.items()},
            "required": sorted(cast(Any, kind).__required_keys__),
        }
    if origin is Annotated:
        return {**schema_of(arguments[0]), **arguments[1].keywords}
    if origin is NotRequired:
        return schema_of(arguments[0])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(each) for each in arguments]}
    return {"type": SIMPLE[kind]}


def _is_integer(_checker, value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# By itself jsonschema takes 1e30 for an integer.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)
