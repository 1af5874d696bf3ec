"""A run as from elsewhere, to be damaged."""

import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from maskmake.masks.run_folds import list_folds
from maskmake.runtime.files import write_json

DECISION = {
    "method": "one_level",
    "threshold": 0.5,
    "min_object": 0,
    "min_hole": 0,
    "upper": None,
    "min_seed": 0,
    "temperature": 1.0,
    "validation": {"foreground": [0.5], "expected_mean_dice": [0.9]},
}


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory) -> Path:
    """The folder of a run of one fold whose foreground is what is brighter than 127."""
    from saved_runs import write_fold  # which imports Keras, that few tests here need

    run = tmp_path_factory.mktemp("whole") / "run"
    write_fold(run / "fold0", scale=[0.25], offset=[-127.5 / 4])
    write_json(run / "decision.json", DECISION)
    files = [[run / "fold0" / name] for name in ("model.keras", "training.json")]
    write_json(run / "run.json", list_folds(*files))
    return run


@pytest.fixture
def run(whole_run, tmp_path, monkeypatch) -> Path:
    """A copy of that run, to be damaged, without its list of folds."""
    from saved_runs import build_small_network

    from maskmake.network import saved_networks

    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    shutil.copytree(whole_run, tmp_path / "run")
    (tmp_path / "run/run.json").unlink()
    return tmp_path / "run"


@pytest.fixture
def image(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path
