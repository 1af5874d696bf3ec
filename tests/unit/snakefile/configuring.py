"""Configurations as a user writes them, and every setting of the schema."""

import pytest
import yaml
from schema import SCHEMA

from maskmake.runtime.errors import UserError
from maskmake.snakefile.config import resolve

TWO_PATHS = "dataset: {images: data/images, labels: data/labels}\n"


def resolved(text: str) -> dict:
    return resolve(yaml.safe_load(text), SCHEMA)


def fault_lines(text: str) -> list[str]:
    """The sentences of a refused configuration, without the heading."""
    with pytest.raises(UserError) as caught:
        resolved(text)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def settings_of(node: dict, path: tuple = ()):
    """(path, schema) of every key of a section of the schema, augmentation's keys included."""
    node = node_of(node)
    sections = [node, *map(node_of, node.get("oneOf", []))]
    for section in sections:
        for name, child in section.get("properties", {}).items():
            yield (*path, name), child
            yield from settings_of(child, (*path, name))
    if path == ("runs",):
        yield from settings_of(node["additionalProperties"], (*path, "small"))


def node_of(node: dict) -> dict:
    """The schema behind a ``$ref``, with the keys that stand beside it."""
    if "$ref" not in node:
        return node
    return {**SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]], **node}


ALL_SETTINGS = list(settings_of(SCHEMA))


def nested(path: tuple, value) -> dict:
    for name in reversed(path):
        value = {name: value}
    return value
