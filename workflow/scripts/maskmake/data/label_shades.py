"""Shades that compression with loss or blurred borders leave beside the values of a label.

A value or colour that is named as foreground is compared exactly, so that its shades are lost, and
shades of black are foreground where everything but black is.
"""

from typing import NamedTuple

import numpy as np

from maskmake.data.folded import about
from maskmake.data.label_facts import MANY_SHADES, LabelFacts
from maskmake.data.label_values import ABOVE, NONZERO, OBJECTS, colour_name, is_foreground

# A shade lies so near to its value in each channel of 8 bits, and has no area. Shades of so large a
# share of the foreground are worth a warning.
NEAR, WORTH = 64, 0.01
EXACT = "save the labels without loss or blur, or as black and white"


class _Shades(NamedTuple):
    """Those of one value: the values, and their pixels by the label."""

    of: int
    values: set[int]
    pixels: dict[str, int]


def shade_warnings(labels: dict[str, LabelFacts], meaning: str) -> list[str]:
    """Say that a meaning of ``label_values`` takes many shades for another class, if it does.

    Classes have an area, and object numbers are no shades.
    """
    if meaning == OBJECTS or meaning.startswith(ABOVE):
        return []
    all_but_black = meaning == NONZERO
    colour = all_but_black or meaning.startswith("#")
    looks = {path: facts for path, facts in labels.items() if facts.colour == colour}
    named = [0] if all_but_black else [_number(name) for name in meaning.split(";")]
    found = [_shades_of(value, named, looks) for value in named]
    worst = max(found, key=lambda shades: sum(shades.pixels.values()))
    inside = sum(_pixels_inside(facts, meaning) for facts in looks.values())
    count = sum(worst.pixels.values())
    if len(worst.values) < MANY_SHADES or count <= WORTH * inside:
        return []
    name = colour_name(worst.of) if colour else str(worst.of)
    role = f"background, {count} pixels beside {inside} of the foreground"
    if all_but_black:
        role = f"foreground, {count} of its {inside} pixels"
    text = f"{len(worst.values)} shades near {name} are {role}; expected exact values; {EXACT}."
    return [about(sorted(worst.pixels, key=lambda path: -worst.pixels[path]), "label", text)]


def _number(name: str) -> int:
    return int(name[1:], 16) if name.startswith("#") else int(name)


def _pixels_inside(facts: LabelFacts, meaning: str) -> int:
    found = facts.histogram
    return int(found.counts[is_foreground(found.values, meaning, facts.colour)].sum())


def _shades_of(value: int, named: list[int], labels: dict[str, LabelFacts]) -> _Shades:
    shades = _Shades(value, set(), {})
    for path, facts in labels.items():
        if facts.pieces:  # which may be object numbers
            continue
        found = facts.histogram
        near = ~np.isin(found.values, [*named, *facts.regions])
        for shift in (16, 8, 0) if facts.colour else (0,):
            channel = found.values >> shift & 0xFF if facts.colour else found.values
            own = value >> shift & 0xFF if facts.colour else value
            near &= np.abs(channel - own) <= NEAR
        if near.any():
            shades.values.update(found.values[near].tolist())
            shades.pixels[path] = int(found.counts[near].sum())
    return shades
