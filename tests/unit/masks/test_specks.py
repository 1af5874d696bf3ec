"""Why false objects and holes are there: planted cases of each cause."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial import KDTree

from maskmake.masks.decision import stored_decision
from maskmake.masks.learning import learn_decision
from maskmake.masks.specks import (
    CAUSES,
    WINDOW,
    count_near,
    diagnose,
    find_specks,
    free_thresholds,
)
from maskmake.plan.mask_settings import choose_sizes
from maskmake.report import figures, pictures
from maskmake.report.sentences import speck_sentences
from maskmake.report.speck_figure import crop_panels, speck_figure
from maskmake.report.terms import CAUSE_TERMS
from maskmake.scores.cases import Case

SIZES = choose_sizes(256**2).value


def disc() -> np.ndarray:
    rows, columns = np.mgrid[:96, :96]
    return (np.hypot(rows - 48, columns - 60) < 30).astype(np.uint8)


def case(true: float, *squares: tuple[int, int, int, float]) -> tuple[np.ndarray, np.ndarray]:
    """A true disc of one probability, and squares (row, column, side, probability) that are false
    where they lie."""
    label = disc()
    probability = np.where(label > 0, true, 0.05)
    for row, column, side, value in squares:
        probability[row : row + side, column : column + side] = value
    return probability.astype(np.float16), label


def diagnosed(*images: tuple[np.ndarray, np.ndarray]) -> tuple[pd.DataFrame, dict, dict]:
    cases = [Case(f"i{place}", label, p) for place, (p, label) in enumerate(images)]
    learned = learn_decision(lambda: iter(cases), "dice", SIZES, "one_level")
    pieces = find_specks(lambda: iter(cases), learned)
    return pieces, diagnose(pieces, learned), learned


def sentences_of(diagnosis: dict, learned: dict) -> list[str]:
    """As the report makes them, from the file."""
    return speck_sentences(json.loads(json.dumps(diagnosis, allow_nan=False)), learned)


def test_every_cause_has_its_term():
    assert tuple(CAUSE_TERMS) == CAUSES


FAINT = [(4, 4, 2, 0.6), (4, 12, 3, 0.6), (20, 4, 1, 0.6)]
SURE = [(4, 4, 2, 0.97), (4, 12, 3, 0.97), (48, 60, 2, 0.03)]


def test_faint_specks_are_a_threshold_problem():
    pieces, diagnosis, learned = diagnosed(*[case(0.95, *FAINT)] * 3)
    assert learned["threshold"] > 0.6
    assert diagnosis["verdict"] == "threshold"
    assert diagnosis["causes"] == {"threshold": 9, "size": 0, "model_or_label": 0}
    (sentence,) = sentences_of(diagnosis, learned)
    assert sentence.startswith("A threshold problem: 9 of the 9 false components")
    _, high = diagnosis["free_thresholds"]
    assert f"9 objects at {high:.3f} (9 of them are in the masks at 0.5" in sentence
    assert set(pieces.loc[pieces["false"], "threshold"]) == {0.5}


def test_sure_small_specks_are_a_size_problem():
    pieces, diagnosis, learned = diagnosed(*[case(0.95, *SURE)] * 3)
    assert diagnosis["verdict"] == "size"
    assert diagnosis["causes"] == {"threshold": 0, "size": 9, "model_or_label": 0}
    (sentence,) = sentences_of(diagnosis, learned)
    assert "objects of mean probability 0.97 and holes of mean probability 0.03" in sentence
    assert "removes 9 of them, and 0 true components." in sentence
    false = pieces[pieces["false"]]
    assert false["cleaned"].all()
    assert sorted(false["size"]) == [4] * 6 + [9] * 3
    assert (false["overlap"] == 0).all()
    first = false[false["size"] == 9].iloc[0]
    assert (first["id"], first["kind"], first["row"], first["column"]) == ("i0", "object", 5, 13)
    assert first["mean_probability"] == pytest.approx(0.97, abs=1e-3)


def test_what_the_threshold_removes_is_not_counted_for_the_clean_up():
    """A faint hole is in the mask at 0.5 and gone at 0.4, where no clean-up is needed."""
    label, probability = disc(), case(0.95, (48, 60, 2, 0.45))[0]
    learned = {
        **{"method": "one_level", "threshold": 0.4, "min_object": 0, "min_hole": 0},
        **{"score_uncleaned": 1.0, "curve": {"threshold": [0.4], "objective": [1.0]}},
    }
    pieces = find_specks(lambda: iter([Case("i", label, probability)]), learned)
    assert pieces["false"].sum() == 1 and not pieces["cleaned"].any()
    assert diagnose(pieces, learned)["by_cause"]["threshold"]["cleaned"] == 0


def test_large_sure_mistakes_are_a_model_or_label_problem():
    _, diagnosis, learned = diagnosed(case(0.95, (4, 4, 20, 0.97)), case(0.95), case(0.95))
    assert diagnosis["verdict"] == "model_or_label"
    (sentence,) = sentences_of(diagnosis, learned)
    assert "1 have 256 pixels or more" in sentence
    assert "400 pixels, is an object in image i0 at row 14, column 14." in sentence
    assert diagnosis["worst"] == {"image": "i0", "row": 14, "column": 14}


def test_specks_like_true_objects_are_a_model_or_label_problem():
    probability, label = case(0.95, (4, 4, 3, 0.97))
    for row in range(4, 92, 8):
        label[row : row + 2, 20:22] = 1
        probability[row : row + 2, 20:22] = 0.95
    _, diagnosis, learned = diagnosed(*[(probability, label)] * 3)
    assert learned["min_object"] == 0
    assert diagnosis["verdict"] == "model_or_label"
    (sentence,) = sentences_of(diagnosis, learned)
    assert "a clean-up of 3 of them would take 33 true components" in sentence


def test_the_most_frequent_cause_is_named_first_and_each_class_is_counted():
    squares = [(4, 4, 2, 0.97), (4, 12, 3, 0.97), (4, 20, 1, 0.97), (60, 2, 18, 0.97)]
    pieces, diagnosis, learned = diagnosed(*[case(0.95, *squares)] * 3)
    assert diagnosis["verdict"] == "size"
    assert diagnosis["causes"] == {"threshold": 0, "size": 9, "model_or_label": 3}
    starts = [text[:9] for text in sentences_of(diagnosis, learned)]
    assert starts == ["A size pr", "Beside it"]
    assert diagnosis["false"] == 12 == pieces["false"].sum()
    by_size = {row["from"]: row["objects"] for row in diagnosis["by_size"] if row["objects"]}
    assert by_size == {1: 3, 4: 3, 8: 3, 256: 3}
    for table in ("by_size", "by_probability", "by_overlap"):
        assert sum(row["objects"] + row["holes"] for row in diagnosis[table]) == 12
    json.dumps(diagnosis, allow_nan=False)


def test_the_densest_specks_are_found_as_a_tree_finds_them():
    rng = np.random.default_rng(0)
    for count, height, width in ((1, 1, 1), (400, 90, 300), (900, 500, 400), (50, 5, 2000)):
        rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
        points = np.stack([rows, columns], axis=1).astype(float)
        near = KDTree(points).query_ball_point(points, WINDOW / 2, np.inf, return_length=True)
        np.testing.assert_array_equal(count_near(rows, columns), near)


def test_without_specks_it_says_so():
    _, diagnosis, learned = diagnosed(*[case(0.95)] * 2)
    assert (diagnosis["verdict"], diagnosis["worst"], diagnosis["false"]) == ("none", None, 0)
    assert sentences_of(diagnosis, learned) == [
        f"No specks: none of the 4 objects and holes on validation images at threshold "
        f"{learned['threshold']:.3f} is false."
    ]


def test_thresholds_that_cost_nothing_hold_the_learned_one():
    learned = {
        "threshold": 0.3,
        "score_uncleaned": 0.9,
        "curve": {"threshold": [0.4, 0.5, 0.6, 0.7], "objective": [0.5, 0.899, 0.9, 0.897]},
    }
    assert free_thresholds(learned) == (0.3, 0.6)


@pytest.mark.parametrize("squares", [SURE, []])
def test_picture_has_the_same_bytes_each_time_and_shows_the_region(squares, tmp_path):
    images = [case(0.95, *squares)] * 3
    pieces, diagnosis, learned = diagnosed(*images)
    decision, panels = stored_decision(learned), None
    if squares:
        probability, label = images[0]
        image = (probability * 255).astype(np.uint8)
        panels = crop_panels(image, label, probability, diagnosis["worst"], decision)
        assert [panel.shape[:2] for panel in panels.values()] == [(96, 96)] * 5
        before, after = list(panels.values())[3:]
        assert (before[5, 5] == pictures.FALSE).all() and (after[5, 5] == 0).all()
        assert (before[48, 60] == pictures.MISSED).all() and (after[48, 60] == 255).all()
    files = [figures.png(speck_figure(pieces, diagnosis, decision, panels)) for _ in range(2)]
    assert files[0] == files[1]
    (tmp_path / "specks.png").write_bytes(files[0])
    with Image.open(tmp_path / "specks.png") as picture:
        assert picture.width > 800 and picture.height > (600 if squares else 400)
