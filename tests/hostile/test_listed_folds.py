"""Which folds belong to a run, and that no others are taken."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from run_folders import change_json, expected_mask, segment
from saved_runs import write_fold

from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger

pytestmark = pytest.mark.long


@pytest.fixture
def listed(run, whole_run) -> Path:
    """The run with its list of folds."""
    shutil.copy(whole_run / "run.json", run)
    return run


@pytest.mark.parametrize("left", ["fold1", "fold0.bak", "folds"])
def test_a_folder_that_is_no_fold_of_the_run_is_left_out(
    listed, image, tmp_path, caplog, monkeypatch, left
):
    monkeypatch.setattr(logger, "propagate", True)
    write_fold(listed / left, scale=[0.25], offset=[-10.0])  # another network
    mask = segment(listed, image, tmp_path / "out")
    np.testing.assert_array_equal(mask, expected_mask(image))
    assert f"left out, since not a fold of the run: {left}." in caplog.text


@pytest.mark.parametrize("name", ["model.keras", "training.json"])
def test_a_file_of_another_run_is_refused(listed, image, tmp_path, name):
    write_fold(tmp_path / "other/fold0", offset=[-10.0], bias=1.0)
    shutil.copy(tmp_path / "other/fold0" / name, listed / "fold0" / name)
    with pytest.raises(UserError, match=rf"fold0/{name}: other bytes \(SHA-256\) than .*run\.json"):
        segment(listed, image, tmp_path / "out")


def test_a_fold_that_is_listed_and_missing_is_named(listed, image, tmp_path):
    (listed / "fold0").rename(listed / "fold7")
    with pytest.raises(UserError, match=r"fold0/model\.keras is missing"):
        segment(listed, image, tmp_path / "out")


def test_a_run_of_an_earlier_version_takes_its_numbered_folds_with_a_warning(
    run, image, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(logger, "propagate", True)
    write_fold(run / "fold0.bak", scale=[0.25], offset=[-10.0])
    mask = segment(run, image, tmp_path / "out")
    np.testing.assert_array_equal(mask, expected_mask(image))
    said = "of an earlier version, without run.json that lists its folds; taken: fold0."
    assert caplog.text.count(said) == 1
    assert "left out, since not a fold of the run: fold0.bak." in caplog.text


def test_folds_of_an_earlier_version_have_no_gap(run, image, tmp_path):
    shutil.copytree(run / "fold0", run / "fold2")
    with pytest.raises(UserError, match=r"found the folds 0, 2 in .*without a gap"):
        segment(run, image, tmp_path / "out")


def test_a_fold_that_was_trained_otherwise_is_refused(run, image, tmp_path):
    """Left by an earlier training, as only its settings can tell in a run of an earlier version."""
    shutil.copytree(run / "fold0", run / "fold1")
    change_json(run / "fold1/training.json", ["settings", "steps"], 99)
    with pytest.raises(UserError, match=r"fold1/training\.json: other settings than"):
        segment(run, image, tmp_path / "out")
