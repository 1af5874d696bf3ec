"""The audit as a page: what was found, how the images differ, and a picture of each pair."""

import base64
import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from maskmake.data.findings import Finding, Level, far_places, parts_of
from maskmake.data.folded import files_of, page_name
from maskmake.data.label_names import describe_files, split_files
from maskmake.data.pair_facts import PairFacts
from maskmake.data.pair_pictures import MOST_PICTURES, SAMPLED

LISTED = 500  # rows of the table, and findings of each level

PAGE = re.compile(r", page (\d+)")

BINS = 20
NAMED_OUTLIERS = 3

# The folder is not imported, so that a new look of the pages makes no training run again; an audit
# gets it when it is made the next time.
TEMPLATES = Path(__file__).parent / "templates"
SHARED_TEMPLATES = Path(__file__).parents[1] / "pages/templates"

LEVELS: tuple[Level, ...] = ("fault", "warning", "note")
# Classes of the style. "note" is a paragraph on the other pages.
LOOKS = {"fault": "fault", "warning": "warning", "note": "hint", "": ""}


class Picture(NamedTuple):
    """A pair that the page shows: its id, the level of its worst finding, if any, and a JPEG."""

    id: str
    level: Level | None
    jpeg: bytes


class Histogram(NamedTuple):
    """Counts between two ends, and the names of values far from the others.

    Attributes:
        name: of the files that it is saved as.
        table: the ends of each bar and its count, as CSV.
    """

    name: str
    title: str
    low: str
    high: str
    counts: list[int]
    outliers: list[str]
    more_outliers: int
    table: str


def audit_page(
    summary: dict,
    manifest: pd.DataFrame,
    findings: list[Finding],
    facts: dict[str, PairFacts],
    pictures: list[Picture],
) -> str:
    """HTML of the page, which needs no other file.

    Args:
        summary: content of ``audit.json``.
        manifest: one row for each pair.
        findings: those that name their pairs; the sentences of others are in the summary alone.
        facts: of each pair, by its id.
        pictures: in their order.
    """
    templates = Environment(
        loader=FileSystemLoader([TEMPLATES, SHARED_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    texts = {
        "fault": summary["faults"],
        "warning": summary["warnings"],
        "note": [finding.sentence for finding in findings if finding.level == "note"],
    }
    rows = manifest.head(LISTED)
    shares = dict(zip(manifest["id"], manifest["foreground"], strict=True))
    return templates.get_template("audit.html.j2").render(
        title="Audit of the data set · maskmake",
        browser=None,
        summary=summary,
        cards={
            level: [(parts_of(text), files_of(text)) for text in texts[level][:LISTED]]
            for level in LEVELS
        },
        looks=LOOKS,
        counts={level: len(texts[level]) for level in LEVELS},
        histograms=list(_histograms(manifest, facts)),
        pictures=[
            {
                "id": picture.id,
                "level": picture.level or "",
                "foreground": shares[picture.id],
                "uri": _jpeg_uri(picture.jpeg),
            }
            for picture in pictures
        ],
        offenders=sum(picture.level is not None for picture in pictures),
        rows=rows.assign(label=rows["label"].map(describe_files)).to_dict("records"),
        listed=LISTED,
    )


# --- which pairs are shown --------------------------------------------------------------------


def choose_pairs(
    texts: dict[Level, list[str]],
    manifest: pd.DataFrame,
    findings: list[Finding],
    drawn: Collection[str],
) -> dict[str, Level | None]:
    """The ids of the pairs that the page shows, with the level of their worst finding.

    Those with a finding come first, in the order of the levels. Of the others there is a sample if
    there are many.

    Args:
        texts: all sentences of each level.
        manifest: one row for each pair.
        findings: those that name their pairs.
        drawn: ids of pairs of which there are pictures, spread evenly over all.
    """
    offenders = _offenders(texts, manifest, findings)
    ids = dict.fromkeys(manifest["id"])
    shown = {id: level for id, level in offenders.items() if id in ids}
    chosen: dict[str, Level | None] = dict(islice(shown.items(), MOST_PICTURES))
    others = [id for id in ids if id not in offenders]
    room = max(0, SAMPLED - len(chosen))
    if len(others) > room:
        at_hand = [id for id in others if id in drawn]
        others = at_hand if len(at_hand) >= room else others
        others = [others[place] for place in np.linspace(0, len(others) - 1, room).astype(int)]
    return chosen | dict.fromkeys(others)


def _offenders(
    texts: dict[Level, list[str]], manifest: pd.DataFrame, findings: list[Finding]
) -> dict[str, Level]:
    """The ids of pairs with a finding, with its level; faults first, then warnings, then notes."""
    known = {finding.sentence: finding.ids for finding in findings}
    owners = _owners(manifest)
    found: dict[str, Level] = {}
    for level in LEVELS:
        for text in texts[level]:
            for id in known.get(text) or _named_in(text, owners):
                found.setdefault(id, level)
    return found


def _owners(manifest: pd.DataFrame) -> dict[str, str]:
    """The id of the pair of each file, of each page of a stack, and for a stack of its first."""
    columns = (manifest[name] for name in ("id", "image", "label", "page"))
    owners: dict[str, str] = {}
    for id, image, label, page in zip(*columns, strict=True):
        for file in [image, *split_files(label)]:
            owners.setdefault(str(file), id)
            owners[_as_word(page_name(file, page))] = id
    return owners


def _as_word(text: str) -> str:
    """A text in which a page of a stack has no blanks around its number."""
    return PAGE.sub(r",page\1", text)


def _named_in(sentence: str, owners: dict[str, str]) -> Iterator[str]:
    """The pairs whose files a sentence names, as words, or with blanks at its beginning."""
    text = _as_word(sentence)
    words = {word.strip(":;,()") for word in text.split()}
    start = text.partition(": ")[0].split(" and ")[0]
    for file in dict.fromkeys([start, *sorted(words)]):
        if file in owners:
            yield owners[file]


def _jpeg_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


# --- histograms -------------------------------------------------------------------------------


def _histograms(manifest: pd.DataFrame, facts: dict[str, PairFacts]) -> Iterator[Histogram]:
    ids = list(manifest["id"])
    if not ids:
        return
    share = manifest["foreground"].to_numpy(float)
    inside = share.clip(1e-5, 1 - 1e-5)
    yield _histogram(
        "foreground",
        "share of foreground, %",
        100 * share,
        (0, 100),
        ids,
        np.log(inside / (1 - inside)),
    )
    area = (manifest["height"] * manifest["width"]).to_numpy(float)
    title = "size: root of height x width, pixels"
    yield _histogram("size", title, area**0.5, None, ids, np.log(area))
    if facts:
        ids = list(facts)
        brightness = np.array([facts[id].brightness for id in ids])
        scale = float(np.abs(brightness).max()) or 1.0
        title = "mean brightness of the image"
        yield _histogram("brightness", title, brightness, None, ids, brightness / scale)


def _histogram(
    name: str,
    title: str,
    values: np.ndarray,
    ends: tuple[float, float] | None,
    ids: list[str],
    compared: np.ndarray,
) -> Histogram:
    low, high = ends or (float(values.min()), float(values.max()))
    counts, edges = np.histogram(values, BINS, (low, high))
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "pairs": counts})
    far = far_places(compared)
    return Histogram(
        name,
        title,
        f"{low:.4g}",
        f"{high:.4g}",
        counts.tolist(),
        [f"{ids[place]} ({values[place]:.4g})" for place in far[:NAMED_OUTLIERS]],
        max(0, len(far) - NAMED_OUTLIERS),
        table.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
    )
