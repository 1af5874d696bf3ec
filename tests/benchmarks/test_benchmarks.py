"""Each benchmark, with as little work as it can have, runs and prints what it is there for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from maskmake.data.synthesis import write_dataset
from maskmake.runtime.files import read_json

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def measure(script: str, *arguments: str | Path) -> list[list[str]]:
    """The lines that a benchmark prints, each split at blanks."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow/scripts")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_decision():
    [row] = measure("decision.py", "--images", "2", "--size", "64")
    assert row[0] == "dice" and float(row[1]) > 0


@pytest.mark.parametrize(
    ("script", "options"),
    [("large.py", ["256"]), ("memory.py", ["4", "--size", "64", "--steps", "2"])],
)
def test_peak_memory(script, options):
    head, row = measure(script, *options)
    peak, own, mapped = (float(row[head.index(name)]) for name in ("peak", "own", "mapped"))
    assert own > 100 and max(own, mapped) <= peak <= own + mapped + 1


def test_prediction():
    *rows, last = measure("prediction.py", "--images", "1", "--size", "64", "--rounds", "1")
    assert [row[:-1][0] for row in rows] == ["ours:", "bare:", "on"]
    assert last[0] == "ours" and float(last[2]) > 0


def test_scale():
    rows = measure("scale.py", "20", "--cores", "2")
    titles = [" ".join(word for word in row[2:4] if word.isalpha()) for row in rows]
    steps = ["validate", "binarize", "split"]
    assert titles == ["plan", *steps, "plan again", "plan segment"]


def test_speed():
    size = ["--patch", "64", "--batch", "2", "--block", "1", "--rounds", "1"]
    recipe = ["--recipe", "deep={deep_supervision: true}"]
    _, *rows = measure("speed.py", "ours", "bare", "article", *recipe, *size)
    assert [row[0] for row in rows] == ["ours", "bare", "article", "deep"]
    assert all(float(row[2]) > 0 for row in rows)


def test_recipes(tmp_path):
    train = {"encoder": "resnet18", "patch": 64, "batch": 2, "steps": 2, "epochs": 1}
    recipes = ["--recipe", "plain={}", "--recipe", "dice={loss: dice}"]
    size = ["--images", "8", "--size", "64", "--seeds", "2", "--kinds", "blobs"]
    settings = [
        "--train",
        yaml.safe_dump(train | {"guard": False}),
        "--settings",
        "{predict: {tta: false}}",
    ]
    rows = measure("recipes.py", tmp_path / "out", *recipes, *size, *settings)
    recipes = [row[3] for row in rows if row[1:2] == ["blobs"]]
    assert recipes == ["dice", "plain", "dice"]  # means over seeds; the difference from the first


def test_gpu(tmp_path):
    """On a processor: all parts but the tests marked gpu and the tutorial's five versions."""
    isbi = tmp_path / "isbi"
    write_dataset(isbi / "image", isbi / "label", count=30, size=64, seed=1)
    parts = ["speed-256", "predict", "isbi-1", "whole"]  # speed-512 is speed-256 of another size
    chosen = ["--isbi", isbi, "--small", "--parts", *parts, "--backends", "tensorflow"]
    measure("gpu.py", tmp_path / "out", *chosen, "--minutes", "18")
    figures = read_json(tmp_path / "out/figures.json")
    assert list(figures) == [f"{part} tensorflow" for part in parts]
