"""The report: one page that holds everything, and its pictures."""

import base64
import io
import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
from constructed import SOURCES, SPECK_DRAWING
from PIL import Image

from maskmake.data.images import read_pixels
from maskmake.data.pixel_store import build_store
from maskmake.masks.regions import region_picture
from maskmake.masks.run_folds import list_folds
from maskmake.pages.scripts import SCRIPTS
from maskmake.report import figures, pictures
from maskmake.report.inputs import ReportInputs, ReportOutputs
from maskmake.report.page import write_report
from maskmake.report.pictures import count_components, select_examples
from maskmake.report.sentences import calibration_sentences
from maskmake.report.tables import SET_BEFORE, plan_table, stage_table
from maskmake.report.terms import SCORE_TERMS, duration, number, percent
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import (
    read_csv,
    read_json,
    sha256,
    write_csv,
    write_json,
    write_png,
    write_text,
)
from maskmake.scores.calibration import EXPECTED, reliability
from maskmake.scores.comparison import PAIRED_SCORES
from maskmake.scores.probabilities import FLOAT16_LEVELS
from maskmake.scores.scorecard import HIGHER_IS_BETTER

pytestmark = pytest.mark.long

FOLD_FILES = "model.keras", "training.json"
FIGURES = {"data.png", "augmented.png", "training.svg", "threshold.svg", "scores.svg"}
FIGURES |= {"examples.png", "calibration.svg"}
SCORE_KEYS = [key for group in SCORE_TERMS.values() for key in group]
TRAIN = {
    "architecture": "Unet",
    "encoder": "resnet18",
    "encoder_weights": None,
    "patch": 64,
    "batch": 4,
    "steps": 10,
    "loss": "bce_dice",
    "label_scale": 1,
    "augmentation": "default",
    "backend": "tensorflow",
}

SPECKS = {
    "verdict": "size",
    "components": 20,
    "false": 6,
    "cleaned_true": 1,
    "free_thresholds": [0.5, 0.7],
    "causes": {"threshold": 0, "size": 5, "model_or_label": 1},
    "by_cause": {
        "size": {
            "objects": 3,
            "holes": 2,
            "mean_probability": {"objects": 0.973, "holes": 0.03},
            "median_size": 3.0,
            "largest": {"image": "003", "kind": "object", "row": 1, "column": 2, "size": 9},
            "only_at_half": 0,
            "cleaned": 5,
            "large": 0,
            "true_as_small": 4,
        },
        "model_or_label": {
            "objects": 1,
            "holes": 0,
            "mean_probability": {"objects": 0.9, "holes": None},
            "median_size": 300.0,
            "largest": {"image": "<b>", "kind": "object", "row": 30, "column": 20, "size": 300},
            "only_at_half": 0,
            "cleaned": 0,
            "large": 1,
            "true_as_small": 0,
        },
    },
    "by_size": [
        {"from": 1, "objects": 2, "holes": 1, "threshold": 0, "size": 3, "model_or_label": 0},
        {"from": 4, "objects": 2, "holes": 1, "threshold": 0, "size": 2, "model_or_label": 1},
    ],
}


def make_results(
    folder: Path,
    runs: list[str],
    sizes: list[tuple[int, int]],
    test_images: int,
    folds: int = 1,
    channels: int = 1,
    epochs: int = 6,
) -> dict:
    """Write a small finished results folder; returns the resolved configuration."""
    rng = np.random.default_rng(1)
    table = _write_data(folder, rng, sizes, test_images, folds, channels)
    test = table[table["role"] == "test"]
    comparison = []
    for place, run in enumerate(runs):
        _write_training(folder / "runs" / run, rng, folds, epochs, channels)
        comparison.append(
            {"run": run, **_write_scores(folder / "runs" / run, test, 0.9 - place / 10)}
        )
    write_csv(folder / "comparison.csv", pd.DataFrame(comparison))
    _write_pairs(folder / "comparison_pairs.csv", runs, test_images)
    (folder / "benchmarks").mkdir()
    for name, seconds, memory in (
        ("plan", "0.5", "-"),
        (f"{runs[0]}-fold0-predict", "130.0", "2048.5"),
    ):
        text = f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n"
        (folder / f"benchmarks/{name}.tsv").write_text(text)
    run_settings = {run: TRAIN | {"batch": 4 + place} for place, run in enumerate(runs)}
    return {
        "dataset": SOURCES | {"name": "tiny & <odd>", "images": "images", "labels": "labels"},
        "split": {"folds": folds, "test": ["21-29"]},
        "train": TRAIN,
        "predict": {"tta": True, "tile": "auto"},
        "decide": {"objective": "dice", "sizes": [9, 30]},
        "compare": {"smallest_difference": 0.005},
        "runs": run_settings,
    }


def _write_data(folder, rng, sizes, test_images, folds, channels) -> pd.DataFrame:
    rows = []
    for place, (height, width) in enumerate(sizes):
        image_id = f"{place:03}"
        shape = (height, width, 3) if channels == 3 else (height, width)
        image_path, label_path = folder / f"in/{image_id}.tif", folder / f"in/{image_id}.png"
        label = rng.random((height, width)) < 0.3
        write_png(label_path, label)
        tifffile.imwrite(image_path, rng.integers(0, 65536, shape).astype(np.uint16))
        rows.append(
            {
                "id": image_id,
                "image": image_path,
                "label": label_path,
                "height": height,
                "width": width,
                "channels": channels,
                "dtype": "uint16",
                "label_maximum": 255,
                "label_foreground": "255",
                "label_ignored": "none",
                "ignored": 0.0,
                "sha256_image": sha256(image_path),
                "sha256_label": sha256(label_path),
                "foreground": label.mean(),
                "group": None,
                "role": None,
            }
        )
    manifest = pd.DataFrame(rows)
    data = folder / "data"
    build_store(manifest, data / "images.npy", data / "labels.npy", data / "index.csv")
    write_csv(data / "manifest.csv", manifest)
    last_train = len(sizes) - test_images - (folds == 1)
    roles = ["train"] * last_train + ["validation"] * (folds == 1) + ["test"] * test_images
    fold_column = [place % folds if folds > 1 else None for place in range(last_train)]
    fold_column += [0] * (folds == 1) + [None] * test_images
    splits = pd.DataFrame(
        {"id": manifest["id"], "role": roles, "fold": pd.array(fold_column, dtype="Int64")}
    )
    write_csv(data / "splits.csv", splits)
    write_json(data / "audit.json", {"warnings": ["000.png: <nearly> black"]})
    record = {
        "method": "block",
        "reason": "Blocks & more.",
        "warnings": ["All <b> are test images"],
    }
    write_json(data / "split.json", record)
    return manifest.assign(role=roles)


def _write_training(folder, rng, folds, epochs, channels) -> None:
    for fold in range(folds):
        history = pd.DataFrame({"epoch": np.arange(1, epochs + 1)})
        history["loss"] = 1 / history["epoch"]
        history["val_loss"] = history["loss"].clip(lower=0.2) + rng.uniform(0, 0.005, epochs)
        history["learning_rate"] = 0.001
        history["images_per_second"] = 100.0
        history["seconds"] = 1.0
        write_csv(folder / f"fold{fold}/history.csv", history)
        training = {
            "settings": TRAIN | {"augmentation": {"flip_horizontal": True}},
            "fold": fold,
            "preprocessing": {
                "channels": channels,
                "dtype": "uint16",
                "scale": [1.0] * channels,
                "offset": [0.0] * channels,
            },
            "precision": "float32",
            "device": "CPU",
            "xla": False,
            "patches": 40 * epochs,
            "seconds": 6.0,
            "best_epoch": epochs,
            "val_loss": 0.2,
            "parameters": 1_500_000,
            "versions": {"keras": "3.15.1"},
        }
        write_json(folder / f"fold{fold}/training.json", training)
        samples = rng.integers(0, 2, (6, 40, 40, channels + 1)).astype(np.uint16)
        np.save(folder / f"fold{fold}/augmented.npy", samples)
        (folder / f"fold{fold}/model.keras").write_bytes(b"is not read")
    why = {"value": 128, "reason": "the typical object is 20 pixels long"}
    auto = {
        "predict.tile": {"value": 64, "reason": "the largest image, 48 pixels long, is one tile"}
    }
    auto["decide.sizes"] = {"value": [4, 8], "reason": "is not shown, since they are set"}
    plan = {"settings": {"patch": why}, "auto": auto, "warnings": ["Labels make <i> patches."]}
    write_json(folder / "plan.json", {**plan, "needed_memory": 2**31, "device": "processor"})
    levels = [0.25, 0.5, 0.625, 0.75]
    dice = [0.7, 0.8, 0.85, None]
    curve = {"foreground_dice": dice, "background_dice": dice, "objective": dice}
    decision = {
        "method": "one_level",
        "threshold": 0.625,
        "upper": None,
        "min_seed": 0,
        "min_object": 16,
        "min_hole": 0,
        "objective": "dice",
        "score": 0.86,
        "score_at_half": 0.8,
        "score_uncleaned": 0.85,
        "threshold_uncleaned": 0.625,
        "methods": [],
        "reason": "Two levels separate objects no better than one.",
        "removed": {"objects_true": 1, "objects_false": 2, "holes_true": 0, "holes_false": 0},
        "clean_up_reason": "The clean-up pays: so it does.",
        "images": ["003"],
        "curve": {"threshold": levels, **curve},
        "sizes": [],
    }
    write_json(folder / "decision.json", decision)
    files = [[folder / f"fold{fold}" / name for fold in range(folds)] for name in FOLD_FILES]
    write_json(folder / "run.json", list_folds(*files))
    write_json(folder / "specks.json", SPECKS)
    write_png(folder / "specks.png", np.zeros((20, 30), np.uint8))
    write_text(folder / "specks.svg", SPECK_DRAWING)
    pieces = {"id": "006", "kind": ["object", "hole"], "size": [3, 900], "cleaned": False}
    pieces |= {"mean_probability": [0.97, 0.0123], "false": [True, False], "cause": ["size", ""]}
    write_csv(folder / "specks.csv", pd.DataFrame(pieces))


def _write_scores(folder, test, dice) -> dict:
    metrics = dict.fromkeys(SCORE_KEYS, dice) | {"images": len(test), "majority_accuracy": 0.7}
    metrics |= {"precision": None, "method": "one_level", "upper": None, "min_object": 16}
    metrics |= {"min_seed": 0, "min_hole": 0}
    metrics |= {"v_rand_low": dice - 0.04, "v_rand_high": dice + 0.02, "precision_low": None}
    metrics |= {"precision_high": None}
    histogram = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    histogram[:, ::500] = 10
    write_csv(folder / "reliability.csv", reliability(histogram, 1.5))
    write_json(folder / "metrics.json", metrics)
    rows = []
    for place, row in enumerate(test.itertuples()):
        mask = read_pixels(row.label) > 0
        write_png(folder / f"masks/{row.id}.png", mask)
        write_png(folder / f"probability/{row.id}.png", mask)
        write_png(folder / f"regions/{row.id}.png", region_picture(mask))
        scores = dict.fromkeys([*SCORE_KEYS, *EXPECTED], dice - place / 100)
        rows.append({"id": row.id, "group": row.id, **scores, "precision": np.nan})
    write_csv(folder / "per_image.csv", pd.DataFrame(rows))
    return metrics


def _write_pairs(path, runs, images) -> None:
    numbers = {"difference": 0.1, "low": 0.02, "high": 0.15, "share": 0.996, "images": images}
    numbers |= {"groups": images, "run_seeds": 1, "other_seeds": 1, "smallest": 0.005}
    rows = [
        {"run": run, "other": other, "score": score, **numbers, "verdict": f"{run} is better"}
        for run, other in combinations(runs, 2)
        for score in PAIRED_SCORES
    ]
    columns = ["run", "other", "score", *numbers, "verdict"]
    write_csv(path, pd.DataFrame(rows, columns=columns))


class Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.sources, self.links, self.ids, self.alternatives, self.headings = [], [], [], [], []
        self.tags, self.text, self.open = Counter(), "", ""
        self.landmarks = Counter()  # of each role and name
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags[tag] += 1
        self.open = tag
        self.sources += [values["src"]] if "src" in values else []
        self.links += [values[key] for key in ("href", "xlink:href") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "nav" or values.get("role") == "region":
            self.landmarks[values.get("role", tag), values["aria-label"]] += 1
        if tag == "img":
            self.alternatives.append(values["alt"])
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        self.text += "" if self.open in ("script", "style") else data


def inputs_of(folder: Path, runs: list[str], folds: int) -> ReportInputs:
    data = folder / "data"

    def run_paths(name: str) -> list[Path]:
        return [folder / "runs" / run / name for run in runs]

    def fold_paths(name: str) -> list[Path]:
        return [path / f"fold{fold}" / name for path in run_paths("") for fold in range(folds)]

    return ReportInputs(
        audit=data / "audit.json",
        manifest=data / "manifest.csv",
        images=data / "images.npy",
        labels=data / "labels.npy",
        index=data / "index.csv",
        splits=data / "splits.csv",
        split=data / "split.json",
        comparison=folder / "comparison.csv",
        pairs=folder / "comparison_pairs.csv",
        plans=run_paths("plan.json"),
        history=fold_paths("history.csv"),
        training=fold_paths("training.json"),
        augmented=run_paths("fold0/augmented.npy"),
        decision=run_paths("decision.json"),
        folds=run_paths("run.json"),
        diagnosis=run_paths("specks.json"),
        specks=run_paths("specks.png"),
        speck_drawings=run_paths("specks.svg"),
        speck_tables=run_paths("specks.csv"),
        metrics=run_paths("metrics.json"),
        per_image=run_paths("per_image.csv"),
        reliability=run_paths("reliability.csv"),
        masks=run_paths("masks"),
        probability=run_paths("probability"),
        regions=run_paths("regions"),
        benchmarks=list((folder / "benchmarks").iterdir()),
    )


def render(folder: Path, settings: dict, left_out: dict | None = None) -> tuple[str, Page]:
    runs = list(settings["runs"])
    inputs = inputs_of(folder, runs, settings["split"]["folds"])
    written = {Path(name).stem: folder / "report" / name for name in FIGURES}
    images = folder / "report/images"
    outputs = ReportOutputs(page=folder / "report.html", images=images, **written)
    write_report(inputs, runs, settings, outputs, left_out=left_out)
    text = outputs.page.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture
def undrawn(monkeypatch):
    """Empty figures, for tests of the text: drawing them is most of the time of a report."""
    monkeypatch.setattr(figures, "svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr(figures, "png", lambda *_: b"")


THREE = ["unet", "18", "third"]
VARIANTS = {
    "plain": {"runs": ["unet", "small"], "sizes": [(40, 40)] * 9, "test_images": 5},
    "one test image": {"runs": ["unet"], "sizes": [(40, 40)] * 4, "test_images": 1, "epochs": 1},
    "folds, odd sizes, RGB": {
        "runs": THREE,
        "sizes": [(33, 47), (61, 40), (52, 35), (450, 41), (37, 400), (39, 38)],
        "test_images": 3,
        "folds": 3,
        "channels": 3,
    },
}


class Rendered(NamedTuple):
    """A results folder with its report."""

    folder: Path
    settings: dict
    text: str
    page: Page


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(changes, id=name, marks=() if name == "plain" else pytest.mark.long)
        for name, changes in VARIANTS.items()
    ],
)
def rendered(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    settings = make_results(folder, **request.param)
    return Rendered(folder, settings, *render(folder, settings))


def test_the_page_refers_to_nothing_outside_itself(rendered):
    page = rendered.page
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    inside = [link for link in page.links if link.startswith("#")]
    assert inside and all(link[1:] in page.ids for link in inside)
    assert all(link.startswith("data:") for link in set(page.links) - set(inside))
    assert page.tags["link"] == page.tags["iframe"] == 0
    # Scripts are in the page: no element names the address of one.
    assert page.tags["script"] == len(SCRIPTS) + 3
    assert "url(http" not in rendered.text and "@import" not in rendered.text


def test_every_picture_can_be_decoded_and_is_small_and_described(rendered):
    for source in rendered.page.sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            picture.load()
            assert max(picture.size) <= pictures.PICTURE_SIDE
    assert all(rendered.page.alternatives)


def test_the_page_names_every_run_and_the_threshold(rendered):
    for run in rendered.settings["runs"]:
        assert f'<th scope="col" class="num">{run}</th>' in rendered.text
        assert f"{run}: threshold 0.625" in rendered.page.text
    assert "Objects smaller than 16 pixels are removed." in rendered.page.text


def test_headings_are_nested_and_ids_unique(rendered):
    page = rendered.page
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(
        deeper - level <= 1 for level, deeper in zip(page.headings, page.headings[1:], strict=False)
    )
    sections = [name for name in page.ids if name.isalpha()]
    assert len(sections) == len(set(sections))


def test_a_reader_who_hears_the_page_can_tell_its_landmarks_apart(rendered):
    landmarks = rendered.page.landmarks
    assert len(landmarks) > 8
    assert [landmark for landmark, count in landmarks.items() if count > 1] == []


def test_an_undefined_score_is_a_dash_and_never_nan(rendered):
    assert '<td class="num">–</td>' in rendered.text
    assert "nan" not in rendered.page.text.lower().split() and "None" not in rendered.page.text


def test_planned_settings_of_other_sections_are_shown_with_their_reason(rendered):
    rows = ["predict.tile</th><td>64</td><td>the largest image, 48 pixels long, is one tile"]
    rows += ["decide.sizes</th><td>9, 30</td><td>set in the configuration"]
    assert all(row in rendered.text for row in rows)
    assert "is not shown" not in rendered.text


@pytest.mark.parametrize(
    ("asked", "planned", "shown"),
    [
        ("auto", "objects are long", "objects are long"),
        (64, "set in the configuration", "set in the configuration"),
        # Neither change makes a new plan, since the value stays.
        (64, "objects are long", "set in the configuration"),
        ("auto", "set in the configuration", SET_BEFORE),
    ],
)
def test_the_reason_of_a_planned_setting_is_that_of_the_configuration(asked, planned, shown):
    plan = {"settings": {"patch": {"value": 64, "reason": planned}}, "auto": {}}
    rows = plan_table([SimpleNamespace(name="a", plan=plan)], {"runs": {"a": {"patch": asked}}})
    assert rows == [{"key": "patch", "value": "64", "reason": shown, "runs": "a"}]


def test_text_of_the_user_is_escaped(rendered):
    text = rendered.text
    assert "tiny &amp; &lt;odd&gt;" in text and "&lt;nearly&gt; black" in text
    assert "<odd>" not in text and "<nearly>" not in text
    assert "Blocks &amp; more." in text and "All &lt;b&gt; are test images" in text
    assert text.count("Labels make &lt;i&gt; patches.") == 1  # both runs say it


@pytest.mark.long
@pytest.mark.parametrize(
    "rendered",
    [
        pytest.param(changes, id=name, marks=pytest.mark.slow if changes["runs"] != THREE else ())
        for name, changes in VARIANTS.items()
    ],
    indirect=True,
    scope="module",
)
def test_the_same_results_give_the_same_bytes(rendered):
    folder = rendered.folder
    files = [folder / "report.html", *(folder / "report" / name for name in FIGURES)]
    first = [path.read_bytes() for path in files]
    render(folder, rendered.settings)
    assert [path.read_bytes() for path in files] == first


def test_the_figures_are_written_as_files(rendered):
    figures_folder = rendered.folder / "report"
    assert {path.name for path in figures_folder.iterdir()} == FIGURES | {"images"}
    for name in ("data.png", "examples.png"):
        assert read_pixels(figures_folder / name).ndim == 3


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_the_result_as_a_sentence(tmp_path):
    _, page = render(tmp_path, make_results(tmp_path, **VARIANTS["plain"]))
    expected = "On 5 held-out images the run “unet” labels 90.0\u00a0% of the pixels right"
    assert expected in page.text
    assert "calling everything “background” would give 70.0\u00a0%" in page.text


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_the_best_value_of_a_row_is_emphasised(tmp_path):
    text, _ = render(tmp_path, make_results(tmp_path, **VARIANTS["plain"]))
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


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_an_interval_stands_under_its_score(tmp_path):
    text, page = render(tmp_path, make_results(tmp_path, **VARIANTS["plain"]))
    assert text.count('<span class="interval">') == 2  # one score of each run has one
    assert '0.900</span><span class="interval">0.860 to 0.920</span>' in text
    assert "With fewer than six images it says little" in page.text


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_one_run_is_compared_with_none(tmp_path):
    _, page = render(tmp_path, make_results(tmp_path, **VARIANTS["one test image"]))
    assert "Which run is better" not in page.text


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_notes_appear_only_when_the_numbers_call_for_them(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    text, _ = render(tmp_path, settings)
    assert "Worth knowing" not in text

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


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_a_validation_loss_that_still_falls_is_no_overfitting(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/fold0/history.csv"
    history = pd.read_csv(path)
    write_csv(path, history.assign(val_loss=100 * history["loss"]))
    _, page = render(tmp_path, settings)
    assert "overfitting" not in page.text


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_the_decision_is_explained_in_sentences(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/decision.json"
    one_level = read_json(path)
    _, page = render(tmp_path, settings)
    assert "removes 2 false objects and 1 true one, and fills 0 false holes" in page.text
    assert "One level: objects that touch stay together." in page.text
    two_levels = {"method": "two_level", "upper": 0.9, "min_seed": 32, "objective": "v_rand"}
    write_json(path, one_level | two_levels)
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


def saved(text, name):
    """The contents of a file that a page lets its reader save."""
    address = re.search(rf'href="data:[a-z+/]+;base64,([^"]+)" download="[^"]*{name}"', text)[1]
    return base64.b64decode(address).decode()


def test_the_data_of_the_threshold_figure_holds_both_its_curves(rendered):
    run = next(iter(rendered.settings["runs"]))
    table = pd.read_csv(io.StringIO(saved(rendered.text, f"{run}-threshold.csv")))
    validation, test = (table[table["images"] == role] for role in ("validation", "test"))
    assert len(validation) + len(test) == len(table)
    assert validation["threshold"].tolist() == [0.25, 0.5, 0.625, 0.75]
    np.testing.assert_array_equal(validation["objective"], [0.7, 0.8, 0.85, np.nan])
    assert validation[["precision", "recall"]].isna().all(axis=None)
    curve = figures.precision_recall(read_csv(rendered.folder / "runs" / run / "reliability.csv"))
    columns = ["threshold", "precision", "recall"]
    np.testing.assert_allclose(test[columns], curve[columns], rtol=1e-5)


def test_why_there_are_specks_is_said_and_shown(rendered):
    section = rendered.text.split('<section id="specks">')[1].split("</section>")[0]
    assert (
        "A size problem: 5 of the 6 false components are small and too sure for a threshold "
        "(objects of mean probability 0.97 and holes of mean probability 0.03; median 3 pixels, "
        "largest 9): the learned clean-up (objects below 16, holes below 0 pixels) removes 5 of "
        "them, and 1 true component."
    ) in section
    assert "Beside it, 1 of the 6 false components" in section
    assert "1 have 256 pixels or more" in section and "in image &lt;b&gt; at row 30" in section
    assert section.count("<svg") == 1
    saves = re.findall(r'<a href="data:([a-z+/]+);base64,[^"]+" download="([^"]+)"', section)
    run = next(iter(rendered.settings["runs"]))
    kinds = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv"}
    assert saves == [(kind, f"{run}-specks.{suffix}") for suffix, kind in kinds.items()]
    assert saved(section, "specks.csv").splitlines() == [
        "kind,size,mean_probability,false,cause",
        "object,3,0.97,True,size",
        "hole,900,0.0123,False,",
    ]
    rows = Page(section).text.split("model or label")[1]
    assert "".join(rows.split()) == "1to3" + "21030" + "4ormore" + "21021"
    assert (
        "The clean-up pays: so it does. At this threshold it removes 2 false objects"
        in rendered.page.text
    )


@pytest.mark.parametrize(
    ("temperature", "after", "verdict", "change"),
    [
        (1.5, 0.01, "overconfident", "lowers"),
        (0.7, 0.01, "underconfident", "lowers"),
        (1.01, 0.03, "honest", "does not lower"),
    ],
)
def test_the_calibration_is_explained_in_sentences(temperature, after, verdict, change):
    metrics = {"temperature": temperature, "ece": 0.02, "ece_calibrated": after}
    metrics |= {"brier": 0.1, "brier_calibrated": 0.09}
    per_image = pd.DataFrame(
        {
            "foreground_dice": [0.9, np.nan, np.nan],
            "background_dice": [0.8, 0.9, np.nan],
            "expected_mean_dice": [0.80, 0.92, 1.0],
        }
    )
    text = " ".join(calibration_sentences(metrics, per_image))
    assert f"is {verdict}: " in text and f"it {change} the calibration error: 0.0200" in text
    assert "of 2 test images by 0.035 on average and by 0.050 at most" in text


@pytest.mark.long
@pytest.mark.usefixtures("undrawn")
def test_masks_of_specks_are_noted(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    checkers = np.indices((40, 40)).sum(axis=0) % 2 == 0
    for path in (tmp_path / "runs/unet/masks").iterdir():
        write_png(path, checkers)
    _, page = render(tmp_path, settings)
    assert "many are fragments or specks" in page.text


@pytest.mark.long
def test_a_training_that_diverged_is_still_reported(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/fold0/history.csv"
    write_csv(path, pd.read_csv(path).assign(loss=np.nan, val_loss=np.nan))
    _, page = render(tmp_path, settings)
    assert "unet: threshold 0.625" in page.text


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ([0.5], [("Only", 0)]),
        ([0.5, 0.7], [("Best", 1), ("Worst", 0)]),
        ([0.5, 0.7, 0.6], [("Best", 1), ("Worst", 0)]),
        ([0.5, 0.7, 0.6, 0.9], [("Best", 3), ("Best", 1), ("Worst", 2), ("Worst", 0)]),
        ([0.5, np.nan, 0.6], [("Best", 2), ("Worst", 0)]),
        ([np.nan], [("Only", 0)]),
    ],
)
def test_examples_are_the_best_and_the_worst_without_duplicates(dice, expected):
    table = pd.DataFrame({"id": range(len(dice)), "foreground_dice": dice, "background_dice": dice})
    assert [(verdict, row["id"]) for verdict, row in select_examples(table)] == expected


def test_stages_are_in_the_order_of_the_chain_with_their_runs_and_folds(tmp_path):
    names = ("unet-big-fold10-predict", "unet-big-fold2-predict", "unet-decide", "validate")
    for name in names:  # what Snakemake writes of a step that it could not look at
        text = f"s\th:m:s\tmax_rss\n2.0\t0:00:02\t{'0.00' if name == 'validate' else 'NA'}\n"
        (tmp_path / f"{name}.tsv").write_text(text)
    known = {"fold": 0, "seconds": 2.0, "peak_memory": 3 * 2**20}
    trainings = {"unet": [{"fold": 0, "seconds": 2.0}], "unet-big": [known]}
    rows = stage_table(tmp_path.iterdir(), trainings)
    assert [(row["stage"], row["run"], row["fold"]) for row in rows] == [
        ("validate", "", ""),
        ("train", "unet", "0"),
        ("train", "unet-big", "0"),
        ("predict", "unet-big", "2"),
        ("predict", "unet-big", "10"),
        ("decide", "unet", ""),
    ]
    assert [row["seconds"] for row in rows] == [2] * 6
    np.testing.assert_equal([row["megabytes"] for row in rows], [np.nan] * 2 + [3] + [np.nan] * 3)


def test_specks_of_an_earlier_version_are_named(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/specks.json"
    specks = json.loads(path.read_text())
    del specks["by_cause"]
    path.write_text(json.dumps(specks))
    with pytest.raises(UserError, match=r"specks\.json: .*add -R diagnose_run"):
        render(tmp_path, settings)


@pytest.mark.parametrize("name", ["specks.csv", "specks.svg", "specks.png"])
def test_a_file_beside_the_numbers_of_the_specks_is_theirs(tmp_path, name):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    folder = tmp_path / "runs/unet"
    specks = json.loads((folder / "specks.json").read_text())
    specks["sha256"] = {name: sha256(folder / name)}
    (folder / "specks.json").write_text(json.dumps(specks))
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(UserError, match=rf"{name}: other bytes .* add -R diagnose_run"):
        render(tmp_path, settings)


def test_a_pair_of_runs_without_all_its_scores_is_named(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "comparison_pairs.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"comparison_pairs\.csv: not every score of .* once"):
        render(tmp_path, settings)


def test_components_are_4_connected():
    assert count_components(np.eye(3, dtype=np.uint8)) == 3
    assert count_components(np.eye(3, dtype=np.uint8), "background") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.26, "0.3\u00a0s"),
        (9.97, "10\u00a0s"),
        (59.7, "1\u00a0min 00\u00a0s"),
        (3725, "1\u00a0h 02\u00a0min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_numbers():
    assert number(1234567.4, 0) == "1\u202f234\u202f567"
    assert number(float("nan"), 3) == "–"
    assert percent(0.1234) == "12.3\u00a0%"


def test_error_map_colours():
    label = np.zeros((8, 8), np.uint8)
    label[:, :4] = 1
    mask = np.zeros((8, 8), np.uint8)
    mask[:4] = 255
    errors = pictures.error_map(np.full((8, 8), 9, np.uint16), label, mask)
    assert tuple(errors[7, 0]) == pictures.MISSED
    assert tuple(errors[0, 7]) == pictures.FALSE
    for row, column in ((0, 0), (7, 7)):
        red, green, blue = errors[row, column]
        assert red == green == blue


def test_a_large_image_is_sampled_before_it_is_converted():
    picture = pictures.stretched(np.zeros((2, 5 * pictures.SAMPLED_SIDE), np.uint16))
    assert picture.dtype == np.uint8 and picture.shape == (1, pictures.SAMPLED_SIDE)
