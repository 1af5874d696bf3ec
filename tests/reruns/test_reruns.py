"""What runs again after a change, and what does not."""

import os
import shutil
import time

import pytest
from workspace import CONFIG, ROOT, configure, finish, planned

from maskmake.files import write_png
from maskmake.synthesis import synthesize

END = {"compare", "report"}
DATA = {"validate", "binarize", "split", "plan"}
STEPS = ("fold0-train", "fold0-predict", "decide", "diagnose", "masks", "evaluate")


def of_runs(first_step, *runs):
    """The jobs of runs from one step on, and those that follow them."""
    steps = STEPS[STEPS.index(first_step) :]
    return {f"{run}-{step}" for run in runs for step in steps} | END


EVERYTHING = DATA | {"patch-32"} | of_runs("fold0-train", "a", "b")


@pytest.fixture
def workflow(tmp_path):
    """A copy of the workflow, all its files younger than every result."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(ROOT / "Snakefile", checkout)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, checkout / name, copy_function=shutil.copy)
    return checkout


# --- code ---------------------------------------------------------------------------------------


def test_younger_code_with_the_same_content_changes_nothing(workflow, finished):
    """As after a clone or a checkout."""
    script = workflow / "workflow/scripts/train.py"
    assert script.stat().st_mtime > (finished / "results/tiny/report.html").stat().st_mtime
    assert planned(finished, snakefile=workflow / "Snakefile") == set()


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("train.py", of_runs("fold0-train", "a", "b")),
        ("check.py", set()),
        ("maskmake/losses.py", of_runs("fold0-train", "a", "b")),
        ("maskmake/networks.py", of_runs("fold0-train", "a", "b")),
        ("maskmake/tiling.py", of_runs("fold0-predict", "a", "b")),
        ("maskmake/tuning.py", of_runs("decide", "a", "b")),
        ("maskmake/calibration.py", of_runs("decide", "a", "b")),
        ("maskmake/review.py", set()),
        ("maskmake/decision.py", of_runs("decide", "a", "b")),
        ("maskmake/scorecard.py", of_runs("evaluate", "a", "b")),
        ("maskmake/regions.py", of_runs("masks", "a", "b")),
        ("maskmake/comparison.py", END),
        ("maskmake/figures.py", {"a-diagnose", "b-diagnose", "report"}),
        ("maskmake/specks.py", {"a-diagnose", "b-diagnose", "report"}),
        ("maskmake/templates/report.html.j2", {"report"}),
        ("maskmake/audit.py", EVERYTHING),
        ("maskmake/download.py", set()),
        ("maskmake/configuration.py", set()),
    ],
)
def test_an_edit_reruns_the_steps_that_use_the_file(file, jobs, workflow, finished):
    path = workflow / "workflow/scripts" / file
    path.write_text(path.read_text() + "\n")
    assert planned(finished, snakefile=workflow / "Snakefile") == jobs


# --- settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "jobs"),
    [
        pytest.param({}, set(), id="none"),
        pytest.param(
            {"train": {**CONFIG["train"], "tensorboard": True}}, {"report"}, id="event files"
        ),
        pytest.param(
            {"train": dict(reversed(CONFIG["train"].items()))}, set(), id="the order of keys"
        ),
        pytest.param({"segment": {"shard_size": 2}}, set(), id="segment"),
        pytest.param({"predict": {"tta": True}}, of_runs("fold0-predict", "a", "b"), id="predict"),
        pytest.param(
            {"runs": {"a": {}, "b": {"train": {"seed": 2, "epochs": 2}}}},
            of_runs("fold0-train", "b"),
            id="epochs of b",
        ),
        pytest.param(
            {"train": {**CONFIG["train"], "batch": 3, "steps": 2}},
            of_runs("fold0-train", "a", "b"),
            id="two values exchanged",
        ),
        pytest.param(
            {"runs": {**CONFIG["runs"], "c": {"train": {"loss": "dice"}}}},
            of_runs("fold0-train", "c"),
            id="a run more",
        ),
        pytest.param(
            {"runs": {**CONFIG["runs"], "b": {"train": {"seed": 2, "patch": 64}}}},
            of_runs("fold0-train", "b") | {"patch-64"},
            id="the patch of b",
        ),
        # The page of the report shows the settings.
        pytest.param({"train": {**CONFIG["train"], "gpu": 0}}, {"report"}, id="the device"),
        pytest.param({"runs": {"a": {}}}, END, id="a run less"),
        pytest.param(
            {"split": {"test": 0.25, "validation": ["5"]}},
            EVERYTHING - {"validate", "binarize"},
            id="split",
        ),
    ],
)
def test_a_setting_reruns_the_steps_it_reaches(sections, jobs, finished, tmp_path):
    configure(tmp_path, **sections)
    assert planned(finished, config=tmp_path / "config.yaml") == jobs


# --- data ---------------------------------------------------------------------------------------


def touched(folder):
    later = time.time() + 10
    os.utime(folder / "images/00.png", (later, later))


def edited(folder):
    write_png(folder / "images/00.png", synthesize(20, 96, 1)[0])


def added(folder):
    image, label = synthesize(20, 96, 1)
    for path, pixels in ((folder / "images/08.png", image), (folder / "labels/08.png", label)):
        write_png(path, pixels)
        os.utime(path, (0, 0))  # an old file that was moved here


def removed(folder):
    (folder / "images/00.png").unlink()
    (folder / "labels/00.png").unlink()


@pytest.mark.parametrize(
    ("change", "jobs"),
    [(touched, set()), (edited, EVERYTHING), (added, EVERYTHING), (removed, EVERYTHING)],
)
def test_a_change_of_the_images_reruns_everything(change, jobs, finished_copy):
    change(finished_copy)
    assert planned(finished_copy) == jobs


def test_an_audit_that_finds_the_same_images_ends_there(finished_copy):
    configure(finished_copy, dataset={**CONFIG["dataset"], "label_tolerance": 0.5})
    assert planned(finished_copy, "validate") == {"validate"}
    finish(finished_copy, "validate")
    # The page of the report shows the settings.
    assert planned(finished_copy) == {"report"}
