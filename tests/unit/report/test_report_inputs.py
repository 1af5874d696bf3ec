"""Files of results that do not belong together, or are of an earlier version, are named."""

import json

import pytest
from planted import VARIANTS, make_results
from rendering import render

from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, sha256, write_csv

pytestmark = pytest.mark.long


def test_specks_of_an_earlier_version_are_named(tmp_path):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/specks.json"
    specks = json.loads(path.read_text())
    del specks["by_cause"]
    path.write_text(json.dumps(specks))
    with pytest.raises(UserError, match=r"specks\.json: .*add -R diagnose_run"):
        render(tmp_path, settings)


@pytest.mark.parametrize("column", ["mean_dice", "expected_mean_dice"])
def test_scores_of_an_earlier_version_are_named(tmp_path, column):
    settings = make_results(tmp_path, **VARIANTS["plain"])
    path = tmp_path / "runs/unet/per_image.csv"
    write_csv(path, read_csv(path).drop(columns=column))
    with pytest.raises(UserError, match=rf"per_image\.csv: no column {column}, .*-R evaluate_run"):
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
