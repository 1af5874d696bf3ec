"""The figure of the specks: colours that all can tell apart, and a drawing of bounded size."""

import numpy as np
import pandas as pd
import pytest

from maskmake.masks.decision import Decision
from maskmake.masks.specks import CAUSES
from maskmake.report import figures
from maskmake.report.speck_figure import COLOURS, DOTS, drawn_pieces, speck_figure

OKABE_ITO = {"#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"}
PIECES = 40_000


@pytest.fixture(scope="module")
def drawing() -> str:
    rng = np.random.default_rng(0)
    pieces = pd.DataFrame(
        {
            "kind": rng.choice(["object", "hole"], PIECES),
            "cause": rng.choice(["", *CAUSES], PIECES),
            "size": rng.integers(1, 10_000, PIECES),
            "mean_probability": rng.random(PIECES),
        }
    )
    decision = Decision(threshold=0.6, min_object=4, min_hole=0)
    panels = {name: np.zeros((64, 64), np.uint8) for name in ("image $x$", "label")}
    return figures.svg(speck_figure(pieces, {"free_thresholds": [0.5, 0.7]}, decision, panels))


def test_each_cause_has_a_colour_of_okabe_and_ito():
    assert set(COLOURS) == set(CAUSES) and len(set(COLOURS.values())) == len(CAUSES)
    assert set(COLOURS.values()) < OKABE_ITO


def test_the_drawing_of_many_pieces_is_small_and_its_text_takes_the_colour_of_the_page(drawing):
    assert len(drawing) < 1e6
    shown = figures.shown_files("specks", drawing, b"", "Specks", pd.DataFrame())
    assert "mean probability" in shown.element and "image $x$" in shown.element
    assert "currentColor" in shown.element and figures.INK not in shown.element
    assert "fill: #000000" not in shown.element


def test_the_pieces_that_are_drawn_are_evenly_of_each_kind_and_cause():
    names = ["kind", "cause"]
    many = pd.DataFrame({"kind": "object", "cause": "", "size": range(2 * DOTS + 1)})
    few = pd.DataFrame({"kind": "hole", "cause": "size", "size": range(7)})
    drawn = drawn_pieces(pd.concat([many, few], ignore_index=True))
    assert drawn.groupby(names).size().to_dict() == {
        ("object", ""): (2 * DOTS + 3) // 3,
        ("hole", "size"): 7,
    }
    assert drawn["size"].head(3).tolist() == [0, 3, 6]
    pd.testing.assert_frame_equal(drawn_pieces(drawn), drawn)
