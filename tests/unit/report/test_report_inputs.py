"""Files of results that do not belong together, or are of an earlier version, are named."""

import json

import pytest
from planted import VARIANTS, make_results
from rendering import inputs_of, render

from maskmake.data.tables import read_manifest
from maskmake.report.inputs import read_runs
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


def read_documents(folder, settings):
    runs = list(settings["runs"])
    inputs = inputs_of(folder, runs, settings["split"]["folds"])
    read_manifest(inputs.manifest, inputs.audit)
    splits = read_csv(inputs.splits)
    return read_runs(inputs, runs, splits.loc[splits["role"] == "test", "id"].tolist())


DELETED = object()
DOCUMENTS = {
    "decision.json": [
        ("temperature", DELETED), ("temperature", None), ("upper", DELETED), ("images", DELETED),
        ("min_seed", "0"), ("objective", "f1"), ("curve", DELETED), ("curve.threshold", [0.5]),
        ("removed.holes_true", DELETED), ("clean_up_reason", 3), ("", []),
    ],
    "metrics.json": [
        ("temperature", DELETED), ("temperature", None), ("images", "5"), ("images", 0),
        ("pixel_accuracy", DELETED), ("mean_dice", "0.9"), ("v_rand_low", []), ("ece", {}),
        ("network_low", "0.9"), ("", []), ("", None),
    ],
    "specks.json": [
        ("verdict", DELETED), ("verdict", "other"), ("causes", DELETED), ("causes.size", None),
        ("causes.threshold", 1), ("by_cause", []), ("by_cause.size", DELETED),
        ("by_cause.size.median_size", "3"), ("by_cause.size.largest.kind", "cell"),
        ("by_cause.size.mean_probability.holes", DELETED), ("free_thresholds", [0.5]),
        ("by_size", []), ("false", -1), ("", []), ("", 3),
    ],
    "plan.json": [
        ("settings.patch.value", "128"), ("settings.patch.reason", DELETED), ("settings", []),
        ("warnings", None), ("", []),
    ],
    "../../data/audit.json": [
        ("warnings", DELETED), ("warnings", "none"), ("manifest", 3), ("", []),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def documents(make_once):
    """A results folder, and its settings."""
    made = {}
    folder = make_once(
        "damaged documents", lambda f: made.update(make_results(f, **VARIANTS["plain"]))
    )
    return folder, {"runs": ["unet", "small"], "split": {"folds": 1}}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [(name, *change) for name, changes in DOCUMENTS.items() for change in changes],
)
def test_a_document_with_a_wrong_or_missing_value_is_named(name, key, value, documents):
    """Most of them ended the report in a traceback, or were drawn as if they were right."""
    folder, settings = documents
    path = folder / "runs/unet" / name
    whole = path.read_text()
    *above, last = key.split(".")
    contents = json.loads(whole)
    place = contents
    for each in above:
        place = place[each]
    if not key:
        contents = value
    elif value is DELETED:
        del place[last]
    else:
        place[last] = value
    try:
        path.write_text(json.dumps(contents))
        with pytest.raises(UserError) as error:
            read_documents(folder, settings)
    finally:
        path.write_text(whole)
    text = str(error.value)
    assert path.name in text.partition(": ")[0] and text.endswith(".")
    assert last.removesuffix("_low") in text or key in ("causes.threshold", "by_cause.size")


def test_whole_documents_are_read(documents):
    assert list(read_documents(*documents)) == ["unet", "small"]
