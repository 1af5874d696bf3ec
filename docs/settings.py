"""Make docs/configuration.md from the schema of the configuration: ``make docs``."""

import dataclasses
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from maskmake.network.settings import AUGMENTATION_PRESETS, AugmentationSettings

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
PAGE = ROOT / "docs/configuration.md"
HEAD = """# All settings

This page is made from `workflow/schemas/config.schema.yaml` by `make docs`. Do not edit it.
[config/README.md](../config/README.md) has an example.

A configuration is one YAML file. Write only what you change; `required` settings belong to an
optional section. Paths are relative to the folder in which you start maskmake. A misspelt or
impossible setting is named before anything runs. YAML reads `1e-4` as text; write `0.0001`.
[reruns.md](reruns.md) says what runs again after a change of a setting.
"""
AUGMENTATION_HEAD = """
A preset or a mapping of these settings. A mapping replaces the preset: a setting that is left out
of it has the default of the table below, which changes nothing. To change a part of a preset, write
all of its settings and change that part. The presets are

{presets}

`default` has the changes of nnU-Net for images without a direction, such as most of microscopy, and
`article` is version 4 of a tutorial on ISBI 2012.
"""
# The words for a part of the schema that several settings share.
NAMED = {
    "address": "an address",
    "checked_address": "`{address: ..., sha256: ...}`",
    "addresses": "an address, `{address: ..., sha256: ...}`, or a list of these",
    "colour": "a colour such as `'#ff0000'`",
    "ignored": "`transparent`, a whole number or a colour such as `'#ff0000'`",
    "augmentation": "a mapping",
}
TYPES = {
    "string": ("text", "texts"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "boolean": ("`true` or `false`", "`true` or `false`"),
    "object": ("a mapping", "mappings"),
    "null": ("`null`", "`null`"),
}


def page() -> str:
    """The page: a table for each section of the configuration."""
    lines = [HEAD]
    for name, node in SCHEMA["properties"].items():
        node = _resolved(node)
        lines += [f"\n## {name}\n", node["description"], ""]
        if name == "runs":
            lines += _runs()
        else:
            lines += _table(name, node["properties"])
        if name == "train":
            head = AUGMENTATION_HEAD.format(presets=_presets())
            lines += ["\n### train.augmentation", head]
            augmentation = SCHEMA["$defs"]["augmentation"]["properties"]
            lines += _table("train.augmentation", augmentation)
    return "\n".join(lines) + "\n"


def _runs() -> list[str]:
    return [
        "Each entry is a name and `{train: {...}}`: settings of `train` that differ for this run.",
        "The default is `{unet: {}}`, one run with the settings of `train` as they are.",
    ]


def _presets() -> str:
    """A line for each preset of the augmentation, with the mapping that would be the same."""
    nothing = dataclasses.asdict(AugmentationSettings())
    lines = []
    for preset, settings in AUGMENTATION_PRESETS.items():
        changes = dataclasses.asdict(settings).items() - nothing.items()
        pairs = [f"{name}: {_value(value)}" for name, value in sorted(changes)]
        lines.append(f"- `{preset}`: `{{{', '.join(pairs)}}}`")
    return "\n".join(lines)


def _table(section: str, settings: dict) -> list[str]:
    head = ["| setting | values | default | meaning |", "|---|---|---|---|"]
    return head + [
        row for name, node in settings.items() for row in _rows(f"{section}.{name}", node)
    ]


def _rows(key: str, node: dict) -> list[str]:
    """The row of a setting, and those of the settings inside it."""
    node = _resolved(node)
    meaning = node["description"].strip().rstrip(".") + "."
    for sign in "*|":
        meaning = meaning.replace(sign, f"\\{sign}")
    meaning = meaning.replace("<", "&lt;")
    if "x-change-when" in node:
        meaning += f" *Change it when* {node['x-change-when'].strip()}"
    default = f"`{_value(node['default'])}`" if "default" in node else "required"
    rows = [f"| `{key}` | {_values(node)} | {default} | {meaning} |"]
    for name, child in node.get("properties", {}).items():
        rows += _rows(f"{key}.{name}", child)
    return rows


def _resolved(node: dict) -> dict:
    """A part of the schema with what its ``$ref`` leads to."""
    if "$ref" not in node:
        return node
    return {**SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]], **node}


def _values(node: dict) -> str:
    """The values that a setting may have, in words."""
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        return NAMED[name] if name in NAMED else _values(SCHEMA["$defs"][name])
    if "const" in node:
        return f"`{_value(node['const'])}`"
    if "enum" in node:
        return ", ".join(f"`{_value(value)}`" for value in node["enum"])
    for kind in ("oneOf", "anyOf"):
        if kind in node:
            return " or ".join(_values(each) for each in node[kind])
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return " or ".join(_type(each, node) for each in types)


def _type(name: str, node: dict) -> str:
    if name == "array":
        items = node["items"]
        kinds = items.get("type") if isinstance(items.get("type"), list) else [items.get("type")]
        if kinds != [None]:
            words = " and ".join(TYPES[kind][1] for kind in kinds)
            return f"a list of {words}{_range(items)}"
        return f"a list of: {_values(items)}"
    return TYPES[name][0] + (_range(node) if name in ("integer", "number") else "")


def _range(node: dict) -> str:
    words = []
    if {"minimum", "maximum"} <= node.keys():
        return f" from {_value(node['minimum'])} to {_value(node['maximum'])}"
    if "minimum" in node:
        words.append(f"from {_value(node['minimum'])}")
    if "exclusiveMinimum" in node:
        words.append(f"above {_value(node['exclusiveMinimum'])}")
    if "maximum" in node:
        words.append(f"to {_value(node['maximum'])}")
    if "exclusiveMaximum" in node:
        words.append(f"below {_value(node['exclusiveMaximum'])}")
    if "multipleOf" in node:
        words.append(f"a multiple of {node['multipleOf']}")
    return (", " if words and words[0].startswith("a ") else " " if words else "") + ", ".join(
        words
    )


def _value(value) -> str:
    """A value as YAML has it."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
