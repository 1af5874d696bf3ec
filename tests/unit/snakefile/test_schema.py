"""The schema of the configuration: defaults, descriptions and patterns."""

from configuring import ALL_SETTINGS, node_of
from jsonschema import Draft202012Validator
from schema import SCHEMA

from maskmake.snakefile.schema_errors import PATTERN_WORDS


def test_the_schema_is_valid():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_default_is_allowed_by_its_own_schema():
    with_default = [(path, node) for path, node in ALL_SETTINGS if "default" in node_of(node)]
    assert len(with_default) > 50
    for path, node in with_default:
        standalone = {**node, "$defs": SCHEMA["$defs"]}
        errors = list(Draft202012Validator(standalone).iter_errors(node_of(node)["default"]))
        assert not errors, path


def test_every_setting_is_described():
    assert [path for path, node in ALL_SETTINGS if "description" not in node_of(node)] == []


def patterns_in(node):
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for key, value in node.items():
            if key != "not":
                yield from patterns_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns_in(value)


def test_every_pattern_of_the_schema_has_words():
    assert set(patterns_in(SCHEMA)) == set(PATTERN_WORDS)
