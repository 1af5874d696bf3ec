"""What the page says of results follows from their files."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from planted import VARIANTS, make_results
from rendering import Page, leave_out_drawings, render

from maskmake.report.terms import SCORE_TERMS
from maskmake.runtime.files import read_csv, read_json, write_csv, write_json, write_png
from maskmake.scores.comparison import PAIRED_SCORES
from maskmake.scores.scorecard import HIGHER_IS_BETTER

pytestmark = pytest.mark.long


@pytest.fixture
def undrawn(monkeypatch):
    leave_out_drawings(monkeypatch)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[str, Page]:
    """The page of results that no test has changed."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        leave_out_drawings(patch)
        return render(folder, make_results(folder, **VARIANTS["plain"]))


def test_the_result_as_a_sentence(plain):
    _, page = plain
    expected = "On 5 held-out images the run “unet” labels 90.0\u00a0% of the pixels right"
    assert expected in page.text
    assert "calling everything “background” would give 70.0\u00a0%" in page.text


def test_the_best_value_of_a_row_is_emphasised(plain):
    text, _ = plain
    terms = {key: term for group in SCORE_TERMS.values() for key, term in group.items()}
    higher = HIGHER_IS_BETTER | {"seconds_train": False, "seconds_predict": False}
    shown = Counter(
        terms[key].form({True: 0.9, False: 0.8}[is_better])
        for key, is_better in higher.items()
        if is_better is not None and key != "precision"
    )
    assert shown["0.900"] > 10 and shown["0.8"] == 2
    for value, times in shown.items():
        assert text.count(f'<span class="best">{value}</span>') == times


def test_an_interval_stands_under_its_score(plain):
    text, page = plain
    assert text.count('<span class="interval">') == 2  # one score of each run has one
    assert '0.900</span><span class="interval">0.860 to 0.920</span>' in text
    assert "With fewer than six images it says little" in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_better_run_is_named_with_its_evidence(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "comparison_pairs.csv"
    write_csv(path, read_csv(path).assign(images=9, groups=9))
    text, page = render(tmp_path, settings)
    expected = "“unet” is better than “small” by 0.1000 in mean Dice (95 % interval +0.0200 to"
    assert expected in page.text and "better in 99.6\u00a0% of 2\u202f000 resamples" in page.text
    assert "unet minus small" in page.text
    assert text.count("<td>unet is better</td>") == len(PAIRED_SCORES)


@pytest.mark.usefixtures("undrawn")
def test_one_run_is_compared_with_none(tmp_path):
    _, page = render(tmp_path, make_results(tmp_path, **VARIANTS["one test image"]))
    assert "Which run is better" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_notes_appear_only_when_the_numbers_call_for_them(plain, tmp_path):
    text, _ = plain
    assert "Worth knowing" not in text

    settings = make_results(tmp_path, **VARIANTS["plain"])
    run = tmp_path / "runs/small"
    metrics = json.loads((run / "metrics.json").read_text())
    write_json(run / "metrics.json", metrics | {"pixel_accuracy": 0.7})
    per_image = pd.read_csv(run / "per_image.csv", dtype={"id": str})
    per_image.loc[:1, "recall"] = 0.0
    write_csv(run / "per_image.csv", per_image)
    history = pd.read_csv(run / "fold0/history.csv")
    rising = 2 * history["loss"].iloc[-1] - 0.01 * (len(history) - history["epoch"])
    write_csv(run / "fold0/history.csv", history.assign(val_loss=rising))
    text, page = render(tmp_path, settings)
    assert text.index("Worth knowing") < text.index("</header>")  # on the first screen
    assert "the run “small” learned nothing more than the majority" in page.text
    assert "“small” finds none of the foreground in 2 of 5 test images" in page.text
    assert "“small” may be overfitting" in page.text
    assert "ends at 2.0 times its training loss" in page.text
    assert "“unet” may be" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_validation_loss_that_still_falls_is_no_overfitting(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/fold0/history.csv"
    history = pd.read_csv(path)
    write_csv(path, history.assign(val_loss=100 * history["loss"]))
    _, page = render(tmp_path, settings)
    assert "overfitting" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_decision_is_explained_in_sentences(plain, tmp_path):
    _, page = plain
    assert "removes 2 false objects and 1 true one, and fills 0 false holes" in page.text
    assert "One level: objects that touch stay together." in page.text

    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/decision.json"
    two_levels = {"method": "two_level", "upper": 0.9, "min_seed": 32, "objective": "v_rand"}
    write_json(path, read_json(path) | two_levels)
    _, page = render(tmp_path, settings)
    assert "seeds of at least 32 pixels above 0.900" in page.text
    assert "V-Rand on 1 validation image" in page.text
    assert "Objects are the connected parts of the foreground" in page.text


@pytest.mark.usefixtures("undrawn")
def test_runs_that_failed_are_named_with_their_error(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    failed = {
        "large": "train.batch: 64 patches of <256> need 90 GB; lower train.batch.",
        "odd": "train_fold failed\nTraceback (most recent call last):\n  ...\nValueError: no shape",
        "later": None,
    }
    _, page = render(tmp_path, settings, failed)
    assert "“large” failed and is not in this report: train.batch: 64 patches of <256>" in page.text
    assert "“odd” failed and is not in this report: train_fold failed: ValueError" in page.text
    assert "“later” is not in this report, because compare.leave_out names it." in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_page_says_that_objects_are_the_background_and_why(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/decision.json"
    levels = {"method": "two_level", "threshold": 0.6, "upper": 0.1, "min_seed": 32}
    why = {"objects": "background", "objects_reason": "decide.objects asks for background."}
    write_json(path, read_json(path) | levels | why)
    _, page = render(tmp_path, settings)
    assert "Objects are the connected parts of the background" in page.text
    assert "decide.objects asks for background." in page.text
    assert "Two levels: pixels below 0.600 are background, objects grow from seeds" in page.text
    assert "32 pixels below 0.100" in page.text
    assert "Objects lie below the threshold, holes above it." in page.text
    assert "false objects are orange and false holes blue" in page.text


@pytest.mark.usefixtures("undrawn")
def test_masks_of_specks_are_noted(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    checkers = np.indices((40, 40)).sum(axis=0) % 2 == 0
    for path in (tmp_path / "runs/unet/masks").iterdir():
        write_png(path, checkers)
    _, page = render(tmp_path, settings)
    assert "many are fragments or specks" in page.text
