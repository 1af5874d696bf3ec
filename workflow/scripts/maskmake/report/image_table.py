"""The test images as a table that a reader sorts and filters, with their pictures and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.pages.browser import (
    MOST_ROWS,
    Browser,
    Column,
    Row,
    finite,
    histogram_plot,
    scatter_plot,
    thumbnail_side,
)
from maskmake.pages.tiles import tiling
from maskmake.report.inputs import ReportInputs, Run
from maskmake.report.layers import LABEL, Look, Sources, layers, write_layers
from maskmake.report.notes import far_below
from maskmake.report.sentences import objects_of
from maskmake.report.terms import HEADINGS, SCORE_TERMS, number, percent
from maskmake.scores.scorecard import headline_score

SCORES = ["foreground_dice", "mean_dice", "precision", "recall", "boundary_f1", "object_f1"]
SCORES += ["expected_mean_dice"]
EXPECTED_HEADING, REASON = "expected Dice", "reason to look"

SURE_AND_WRONG = 0.1  # the expected Dice is above the real one by more than this
MANY, MORE = 2, 5  # objects: so many times those of the label, and so many more


def browse_test_images(
    folder: str | Path,
    inputs: ReportInputs,
    runs: Mapping[str, Run],
    table: pd.DataFrame,
    processes: int,
) -> tuple[Browser, list[Look]]:
    """Write the pictures of the test images, and give the table of them, the worst first.

    Args:
        folder: of the pictures.
        inputs: files of the earlier stages.
        runs: the best one first.
        table: the manifest with roles.
        processes: that work at once.

    Raises:
        UserError: a picture cannot be decoded.
    """
    best = next(iter(runs.values()))
    headline = headline_score(best.metrics)
    scores = best.per_image.sort_values(headline, kind="stable", na_position="last")
    scores = scores.head(MOST_ROWS).reset_index(drop=True)
    sources = Sources(
        str(inputs.images),
        str(inputs.labels),
        str(inputs.index),
        {name: run.pictures for name, run in runs.items()},
        objects_of(best.decision),
    )
    ids = scores["id"].tolist()
    looks = list(write_layers(folder, sources, ids, thumbnail_side(len(ids)), processes))
    sizes = table.set_index("id").loc[ids]
    columns, values, texts = _columns(scores, looks, runs, sizes)
    places = [column.heading for column in columns]
    plots = []
    if len(ids) > 1:
        score, share = places.index(HEADINGS[headline]), places.index("foreground")
        plots = [
            histogram_plot("test-images-scores", score, HEADINGS[headline], _floats(values[score])),
            scatter_plot(
                "test-images-foreground",
                ids,
                ("share of foreground in the label", _floats(values[share])),
                (HEADINGS[headline], _floats(values[score])),
            ),
        ]
    browser = Browser(
        what="test images",
        folder=f"{Path(folder).parent.name}/{Path(folder).name}",
        columns=columns,
        rows=[
            Row(id_, look.thumbnail, look.size, list(row), list(shown), tiling(*size))
            for id_, look, row, shown, size in zip(
                ids,
                looks,
                zip(*values, strict=True),
                zip(*texts, strict=True),
                sizes[["height", "width"]].itertuples(index=False),
                strict=True,
            )
        ],
        layers=layers(list(runs)),
        runs=list(runs),
        plots=plots,
        order=f"the lowest {HEADINGS[headline]} first",
        total=len(best.per_image),
        rest=f"runs/{best.name}/per_image.csv",
    )
    return browser, looks


def _floats(values: Sequence) -> list[float]:
    return [np.nan if value is None else float(value) for value in values]


def _columns(
    scores: pd.DataFrame, looks: list[Look], runs: Mapping[str, Run], rows: pd.DataFrame
) -> tuple[list[Column], list[list], list[list[str]]]:
    """The columns of the table, and of each the values and the texts, in the order of scores."""
    best, headline = next(iter(runs)), headline_score(next(iter(runs.values())).metrics)
    meanings = {key: term.meaning for group in SCORE_TERMS.values() for key, term in group.items()}
    found: list[tuple[Column, list, list[str]]] = []

    def add(column: Column, values: Sequence, texts: Sequence[str]) -> None:
        found.append(
            (column, list(map(finite, values)) if column.numeric else list(values), list(texts))
        )

    for key in dict.fromkeys([headline, *SCORES]):
        heading = HEADINGS.get(key, EXPECTED_HEADING)
        meaning = meanings.get(key, "What the network expects of its own mask, without a label.")
        add(
            Column(heading, meaning, run=best),
            scores[key],
            [number(value, 3) for value in scores[key]],
        )
    for name, run in list(runs.items())[1:]:
        others = scores["id"].map(run.per_image.set_index("id")[headline])
        column = Column(HEADINGS[headline], f"Of the run {name}.", run=name)
        add(column, others, [number(value, 3) for value in others])
    for heading, key, whose in (("objects, label", LABEL, ""), ("objects, mask", best, best)):
        counts = [look.objects[key] for look in looks]
        add(Column(heading, run=whose), counts, [number(count, 0) for count in counts])
    shares = rows["foreground"].tolist()
    add(Column("foreground", "Share of the label."), shares, list(map(percent, shares)))
    areas = (rows["height"] * rows["width"]).tolist()
    sizes = [f"{row.height} × {row.width}" for row in rows.itertuples()]
    add(Column("pixels", "Height × width."), areas, sizes)
    reasons = image_reasons(scores, looks, shares, best, headline)
    add(Column(REASON, "What is unusual.", numeric=False, run=best), reasons, reasons)
    found.insert(1, found.pop())
    columns, values, texts = map(list, zip(*found, strict=True))
    return columns, values, texts


def image_reasons(
    scores: pd.DataFrame, looks: Sequence[Look], shares: Sequence[float], run: str, headline: str
) -> list[str]:
    """Why each test image deserves a look; empty where nothing is unusual.

    Args:
        scores: rows of ``per_image.csv``.
        looks: of the same images.
        shares: of foreground in their labels.
        run: whose masks they are.
        headline: the score that counts.
    """
    far = far_below(scores[headline])
    sure_and_wrong = scores["expected_mean_dice"] - scores["mean_dice"] > SURE_AND_WRONG
    texts = []
    for place, row in enumerate(scores.itertuples()):
        true, found = looks[place].objects[LABEL], looks[place].objects[run]
        reasons = {
            "none of the foreground is found": row.recall == 0,
            "foreground where the label has none": shares[place] == 0 and row.foreground_dice == 0,
            f"{HEADINGS[headline]} far below the others": far.iloc[place],
            "the network was sure and wrong": sure_and_wrong.iloc[place],
            f"{found} objects where the label has {true}": found >= max(MANY * true, true + MORE),
        }
        texts.append("; ".join(text for text, holds in reasons.items() if holds))
    return texts
