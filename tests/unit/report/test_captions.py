"""The captions of ``snakemake --report``: they state the settings that were used."""

import json
import re
from pathlib import Path

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from schema import SCHEMA

from maskmake.snakefile.config import resolve
from maskmake.snakefile.used_settings import free_thresholds, used_decision, used_settings

CAPTIONS = Path(__file__).parents[3] / "workflow/report"
# With default settings: each is auto in the configuration, or learned.
PLANNED = {"patch": 112, "batch": 13, "steps": 477, "epochs": 29, "augmentation": "article"}
LEARNED = {"threshold": 0.4375, "min_object": 64, "min_hole": 17, "temperature": 1.37}
STATED = {
    "augmented": ["article"],
    "calibration": ["1.37"],
    "data": ["stratified", "data/my_images_", "data/my_labels_"],
    "examples": ["768", "0.5", "0.438", "64"],
    "page": ["unet", "small"],
    "scores": ["0.438", "64", "17"],
    "specks": ["0.438", "64", "17", "0.311 to 0.522"],
    "threshold": ["dice", "one_level", "0.438"],
    "training": ["29 epochs of 477 steps", "batches of 13 patches of 112 pixels", "resnet34"],
    "workflow": ["report.html"],
}


def caption(name, folder, folds=1, **train):
    """The text of a caption of two runs whose files are in a folder."""
    config = {"dataset": {"images": "data/my_images_", "labels": "data/my_labels_"}}
    config |= {"train": train}
    config |= {"runs": {"unet": {}, "small": {}}, "split": {"folds": folds}}
    settings = resolve(config, SCHEMA)
    plans, decisions = ([str(folder / f"{name}.json")] * 2 for name in ("plan", "decision"))
    used = used_settings(settings, ["unet", "small"], plans, decisions, f"{folder}/split.json")
    params = {"settings": settings, "used": used}
    if name == "specks":
        band = free_thresholds(str(folder / "specks.json"))
        params = {"decision": used_decision(decisions[0]), "free_thresholds": band}
    source = (CAPTIONS / f"{name}.rst").read_text()
    # As Snakemake has it, but for the strictness.
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    template = environment.from_string(source)
    text = template.render(snakemake={"params": params, "wildcards": {"run": "unet"}})
    overrides = {"halt_level": 2}
    return publish_parts(text, writer="html", settings_overrides=overrides)["body"]


@pytest.fixture
def made(tmp_path):
    def write(objects="foreground"):
        tile = {"predict.tile": {"value": 768, "reason": "a"}}
        plan = {"settings": {name: {"value": value} for name, value in PLANNED.items()}}
        decision = {"method": "one_level", "objective": "dice", "upper": None, "objects": objects}
        contents = {
            "plan": plan | {"auto": tile},
            "decision": decision | LEARNED | {"curve": {}},
            "split": {"method": "stratified", "reason": "a"},
            "specks": {"free_thresholds": [0.3111, 0.5222]},
        }
        for name, content in contents.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


def test_every_caption_is_tested():
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == set(STATED)


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize("folds", [1, 3])
def test_a_caption_states_the_settings_that_were_used(name, folds, made):
    text = caption(name, made(), folds=folds)
    assert text.startswith("<p>")
    assert not [value for value in STATED[name] if value not in text], text
    assert "auto" not in text and "None" not in text
    assert not re.search(r"[.:][A-Z]", text), "a sentence begins without a space"


def test_with_minutes_the_caption_states_no_length_of_the_plan(made):
    text = caption("training", made(), minutes=20)
    assert "random weights" in text and "as many epochs as fit into 20 minutes, batches" in text
    assert "29 epochs" not in text and "477" not in text


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize("contents", [None, "{"])
def test_a_caption_without_its_files_says_who_chose(name, contents, tmp_path):
    if contents:
        for file in ("plan", "decision", "split", "specks"):
            (tmp_path / f"{file}.json").write_text(contents)
    text = caption(name, tmp_path)
    assert "auto" not in text and "None" not in text
    assert ("chosen by the plan (see Settings)" in text) == (
        name in ("augmented", "data", "examples", "training")
    )


@pytest.mark.parametrize(
    ("objects", "colours"),
    [
        ("foreground", "false objects are blue and false holes orange"),
        ("background", "false objects are orange and false holes blue"),
    ],
)
def test_the_colours_of_specks_are_those_of_the_class_of_the_objects(objects, colours, made):
    assert colours in caption("specks", made(objects))
