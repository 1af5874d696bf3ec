"""Settings that take values of several types: one sentence says what each expects."""

import pytest
import yaml
from configuring import ALL_SETTINGS, TWO_PATHS, fault_lines, nested, node_of
from schema import SCHEMA

from maskmake.runtime.errors import UserError
from maskmake.snakefile.config import resolve

FAULTS = {
    "paths and addresses": (
        "segment: {images: [a.png, b.png, 'https://h/c.png']}",
        "segment.images: found entries of different kinds; expected null, a path, a list of one "
        "entry or more (an address such as https://host/images.zip or s3://bucket/images) or a "
        "list of one entry or more (a path)",
    ),
    "address in place of a folder": (
        "segment: {images: 'https://h/c.png'}",
        "segment.images: found the text 'https://h/c.png'; expected null, a path, a list of one "
        "entry or more (an address such as https://host/images.zip or s3://bucket/images) or a "
        "list of one entry or more (a path)",
    ),
    "a number among paths": (
        "segment: {images: [a.png, 5]}",
        "segment.images[1]: found 5; expected a path; put it in quotes",
    ),
    "a number in place of paths or addresses": (
        "segment: {images: [5]}",
        "segment.images[0]: found 5; expected an address such as https://host/images.zip or "
        "s3://bucket/images or a path; put it in quotes",
    ),
    "values and colours": (
        "dataset: {images: a, labels: b, foreground: [1, '#ff0000']}",
        "dataset.foreground: found entries of different kinds; expected auto, nonzero, objects, a "
        "whole number, a colour such as '#ff0000' (in quotes), a list of one entry or more (a "
        "whole number) or a list of one entry or more (a colour such as '#ff0000' (in quotes))",
    ),
    "a fraction among values": (
        "dataset: {images: a, labels: b, foreground: [1, 2.5]}",
        "dataset.foreground[1]: found 2.5; expected a whole number",
    ),
    "neither value nor colour": (
        "dataset: {images: a, labels: b, foreground: [red]}",
        "dataset.foreground[0]: found the text 'red'; expected a whole number or a colour such as "
        "'#ff0000' (in quotes)",
    ),
    "ignored in a section": (
        "dataset: {images: a, labels: b, ignore: {value: 1}}",
        "dataset.ignore: found a section of settings; expected 'transparent', null, a whole "
        "number, a colour such as '#ff0000' (in quotes) or a list ('transparent', a whole number "
        "or a colour such as '#ff0000' (in quotes))",
    ),
    "a size twice": (
        "decide: {sizes: [4, 8, 4]}",
        "decide.sizes: found 4 twice; expected different entries; remove one",
    ),
    "too many sizes": (
        f"decide: {{sizes: {list(range(1, 22))}}}",
        "decide.sizes: found 21 entries; expected at most 20",
    ),
    "sizes that are no list": (
        "decide: {sizes: all}",
        "decide.sizes: found 'all'; expected 'auto' or a list of at most 20 different "
        "entries (a whole number from 1 to 1000000000)",
    ),
    "a run that is left out twice": (
        "compare: {leave_out: [unet, unet]}",
        "compare.leave_out: found 'unet' twice; expected different entries; remove one",
    ),
    "a text for a number of GPUs": (
        "train: {gpu: none}",
        "train.gpu: found 'none'; expected 'auto' or a whole number of at least 0",
    ),
    "a number for a truth value": (
        "train: {deep_supervision: 1}",
        "train.deep_supervision: found 1; expected auto, true or false",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_fault_has_its_sentence(text, sentence):
    assert fault_lines(TWO_PATHS * ("dataset" not in text) + text) == [sentence]


SEVERAL_TYPES = [
    (path, node)
    for path, node in ALL_SETTINGS
    if "oneOf" in node_of(node) or isinstance(node_of(node).get("type"), list)
]
ODD_VALUES = [True, 1.5, -1, 0, "x", "1", "s3://b/x", [], {}, {"a": 1}, [[]], [{}], [None], [True]]
ODD_VALUES += [[1, 1], [1.5, "x"], ["x", 1], ["x", "s3://b/x"], [1, "#ff0000"], list(range(1, 99))]


@pytest.mark.parametrize("path", [path for path, _ in SEVERAL_TYPES], ids=".".join)
def test_a_setting_of_several_types_is_answered_once(path):
    """Whatever is found, no two sentences expect different things of one place."""
    key, refused = ".".join(path), 0
    for value in ODD_VALUES:
        try:
            resolve({**yaml.safe_load(TWO_PATHS), **nested(path, value)}, SCHEMA)
        except UserError as error:
            lines = [line.strip() for line in str(error).splitlines()[1:]]
        else:
            continue
        places = [line.partition(": ")[0] for line in lines]
        assert len(set(places)) == len(places), lines
        about = [place for place in places if place == key or place.startswith((f"{key}[",))]
        assert not (key in about and len(about) > 1), lines
        refused += bool(about)
    assert refused
