"""Damaged results: each reader names the file, or gives what it gave before."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from maskmake.data.audit import audit_dataset, write_audit
from maskmake.data.fingerprint import fingerprint, read_plan
from maskmake.data.images import read_pixels
from maskmake.data.pixel_store import build_store, open_images, open_labels
from maskmake.data.splits import fold_ids, split_images
from maskmake.data.synthesis import write_dataset
from maskmake.data.tables import read_index, read_manifest, read_splits
from maskmake.masks.decision import Decision
from maskmake.masks.evaluation import evaluate_run
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.learning import decide_run
from maskmake.masks.mask_files import MaskFolder, write_masks
from maskmake.masks.run_folds import check_fold_files, list_folds
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_array, read_csv, sha256, write_csv, write_json
from maskmake.scores.comparison import compare_runs, read_scored_run

COUNT, SIZE = 8, 64


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The results of a data set and of a run whose probabilities are its blurred labels."""
    folder = tmp_path_factory.mktemp("results")
    write_dataset(folder / "image", folder / "label", COUNT, SIZE, seed=5)
    audit = audit_dataset(str(folder / "image"), str(folder / "label"))
    write_audit(audit, folder / "audit.json", folder / "audit.html", folder / "manifest.csv")
    make_store(folder)
    manifest = read_manifest(folder / "manifest.csv", folder / "audit.json")
    write_csv(folder / "splits.csv", split_images(manifest, "block", 0.25, 0.25, 1, 1))
    index, splits, images, labels = read_data(folder)
    write_json(folder / "plan.json", fingerprint(index, splits, images, labels))
    write_probabilities(folder, splits, labels)
    plan = read_plan(folder / "plan.json", index)
    groups = dict(zip(manifest["id"], manifest["group"], strict=True))
    decision = decide_run(
        read_run(folder), labels, groups, plan, "dice", "one_level", "auto", [4, 16, 64]
    )
    write_json(folder / "decision.json", decision)
    decision = Decision(0.5, 0, 0)
    table = write_masks(
        read_run(folder), decision, folder / "masks", folder / "probability", folder / "regions"
    )
    write_csv(folder / "masks.csv", table)
    for name in ("model.keras", "training.json"):
        (folder / name).write_text(name)
    listed = list_folds([str(folder / "model.keras")], [str(folder / "training.json")])
    write_json(folder / "run.json", listed)
    evaluate(folder)
    return folder


@pytest.fixture
def results(whole, tmp_path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "results"))


def make_store(folder):
    manifest = read_manifest(folder / "manifest.csv", folder / "audit.json")
    build_store(manifest, folder / "images.npy", folder / "labels.npy", folder / "index.csv")


def read_data(folder):
    index = read_index(folder / "index.csv")
    splits = read_splits(folder / "splits.csv", index)
    images = open_images(folder / "images.npy", index)
    return index, splits, images, open_labels(folder / "labels.npy", index)


def write_probabilities(folder, splits, labels):
    ids = fold_ids(splits, 0)
    rng = np.random.default_rng(0)
    arrays = [
        (0.6 * labels[i] + 0.4 * rng.random((SIZE, SIZE))).astype(np.float16)
        for i in (*ids.validation, *ids.test)
    ]
    np.save(folder / "probabilities.npy", np.stack(arrays))
    for i, array in zip((*ids.validation, *ids.test), arrays, strict=True):
        array.tofile(folder / f"{i}.raw")
    sums = [sha256(folder / f"{i}.raw") for i in (*ids.validation, *ids.test)]
    table = pd.DataFrame({"id": [*ids.validation, *ids.test], "sha256": sums})
    write_csv(folder / "probabilities.csv", table)


def read_run(folder):
    index, splits, *_ = read_data(folder)
    tables = [folder / "probabilities.csv"]
    return RunProbabilities([folder / "probabilities.npy"], tables, index, splits)


def evaluate(folder):
    """Write the scores, and read them as the comparison does."""
    _, splits, _, labels = read_data(folder)
    evaluation = evaluate_run(
        read_run(folder),
        labels,
        MaskFolder(folder / "masks", folder / "masks.csv"),
        json.loads((folder / "decision.json").read_text()),
        {i: i for i in splits["id"]},
        [{"seconds": 1.0}],
        [pd.DataFrame({"s": [1.0]})],
    )
    write_csv(folder / "per_image.csv", evaluation.per_image)
    write_csv(folder / "resamples.csv", evaluation.resamples)
    write_csv(folder / "networks.csv", evaluation.metrics.networks)
    write_json(folder / "metrics.json", evaluation.metrics.contents())
    return evaluation.metrics.scores


def read_scores(folder):
    names = ("metrics.json", "per_image.csv", "resamples.csv", "networks.csv")
    run = read_scored_run(*(str(folder / name) for name in names))
    return compare_runs({"a": run}, [["a"]], smallest=0.005).table


def read_all_pixels(folder):
    *_, images, labels = read_data(folder)
    return [store[i].tobytes() for store in (images, labels) for i in store.ids]


def read_all_probabilities(folder):
    run = read_run(folder)
    validation = [run.validation(i).tobytes() for i in run.validation_ids]
    return validation + [run.test(i).tobytes() for i in run.test_ids]


def check_folds(folder):
    check_fold_files(folder / "run.json", [folder / "training.json"], [folder / "model.keras"])


# What a job reads of each file, and gives.
READERS = {
    "manifest.csv": lambda f: read_manifest(f / "manifest.csv", f / "audit.json").to_csv(),
    "images.npy": read_all_pixels,
    "labels.npy": read_all_pixels,
    "index.csv": read_all_pixels,
    "splits.csv": lambda f: read_data(f)[1].to_csv(),
    "plan.json": lambda f: read_plan(f / "plan.json", read_index(f / "index.csv")),
    "probabilities.npy": read_all_probabilities,
    "probabilities.csv": read_all_probabilities,
    "masks.csv": evaluate,
    "masks/06.png": evaluate,
    "metrics.json": lambda f: read_scores(f).to_csv(),
    "per_image.csv": lambda f: read_scores(f).to_csv(),
    "resamples.csv": lambda f: read_scores(f).to_csv(),
    "run.json": check_folds,
    "model.keras": check_folds,
    "training.json": check_folds,
}


def flip_early(path):
    flip(path, 0.1)


def flip(path, share=0.5):
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x40
    path.write_bytes(content)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def drop_rows(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))


def drop_first_row(path):
    head, _, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *rows]))


def empty(path):
    path.write_bytes(b"")


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES = [cut, empty, zeros]
CASES = [(name, damage) for name in READERS for damage in DAMAGES]
# One bit of a number in a table that has no sum can be another number. Nothing would tell it.
SUMMED = ["manifest.csv", "images.npy", "labels.npy", "probabilities.npy", "masks/06.png"]
SUMMED += ["model.keras", "training.json", "probabilities.csv", "masks.csv"]
CASES += [(name, damage) for name in SUMMED for damage in (flip_early, flip)]
TABLES = [name for name in READERS if name.endswith(".csv")]
CASES += [(name, damage) for name in TABLES for damage in (drop_rows, drop_first_row)]


@pytest.mark.parametrize(
    ("name", "damage"), CASES, ids=[f"{name}-{damage.__name__}" for name, damage in CASES]
)
def test_a_damaged_result_is_named_or_changes_nothing(results, name, damage):
    before = READERS[name](results)
    damage(results / name)
    try:
        after = READERS[name](results)
    except UserError as error:
        assert Path(name).stem in str(error) and str(error).endswith(".")
    else:
        assert after == before


@pytest.mark.parametrize(
    ("name", "columns", "value"),
    [
        ("index.csv", ["height", "width"], "6a"),
        ("splits.csv", ["fold"], "0a"),
        ("splits.csv", ["fold"], -1),
    ],
)
def test_a_number_that_cannot_be_one_is_named(results, name, columns, value):
    table = read_csv(results / name)
    for column in columns:
        table[column] = table[column].astype(object).where(table[column].isna(), value)
    write_csv(results / name, table)
    with pytest.raises(UserError, match=rf"{name}: a .*; expected it as .* wrote it; copy"):
        READERS[name](results)


@pytest.mark.parametrize("name", READERS)
def test_whole_results_are_read(results, name):
    READERS[name](results)


def test_results_of_an_earlier_version_are_read_without_their_sums(results):
    before = read_all_pixels(results)
    index = read_csv(results / "index.csv")
    write_csv(results / "index.csv", index.drop(columns=["sha256_image", "sha256_label"]))
    audit = json.loads((results / "audit.json").read_text())
    del audit["manifest"]
    write_json(results / "audit.json", audit)
    assert read_all_pixels(results) == before
    assert len(read_manifest(results / "manifest.csv", results / "audit.json")) == COUNT


@pytest.mark.parametrize("change", ["other images", "role", "fold", "order"])
def test_a_split_of_another_data_set_is_named(results, change):
    splits = read_csv(results / "splits.csv")
    if change == "other images":
        splits["id"] = [f"x{i}" for i in splits["id"]]
    elif change == "role":
        splits.loc[0, "role"] = "tesu"
    elif change == "fold":
        splits.loc[splits["role"] == "validation", "fold"] = np.nan
    else:
        splits = splits[::-1]
    write_csv(results / "splits.csv", splits)
    with pytest.raises(UserError, match=r"splits\.csv: .*-R split to the command once\."):
        read_data(results)


@pytest.mark.parametrize(
    ("key", "value"),
    [("images", 7), ("channels", 3), ("dtype", "float64"), ("foreground", 2), ("images", "8")],
)
def test_a_plan_of_another_data_set_is_named(results, key, value):
    plan = json.loads((results / "plan.json").read_text())
    write_json(results / "plan.json", {**plan, key: value})
    with pytest.raises(UserError, match=r"plan\.json: .*" + key):
        READERS["plan.json"](results)


# --- between validate and binarize ------------------------------------------------------------


def other(shape=(SIZE, SIZE), dtype=np.uint8):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8).astype(dtype)


CHANGES = {
    "same size": other(),
    "smaller": other((48, 48)),
    "larger": other((80, 80)),
    "as many pixels": other((SIZE // 2, 2 * SIZE)),
    "colours": other((SIZE, SIZE, 3)),
    "16 bits": other(dtype=np.uint16),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_file_that_has_changed_since_it_was_audited_is_named(results, kind, change):
    (results / "index.csv").unlink()
    (path,) = (results / kind).glob("02.*")
    moved = read_csv(results / "manifest.csv")
    moved[kind] = [str(results / kind / Path(file).name) for file in moved[kind]]
    Image.fromarray(CHANGES[change]).save(path)
    with pytest.raises(UserError, match=rf"{kind}/02\.\w+: changed since validate read it"):
        build_store(moved, *(results / n for n in ("images.npy", "labels.npy", "index.csv")))
    assert not (results / "index.csv").exists()


def test_a_file_that_was_cut_or_removed_since_is_named(results):
    (path,) = (results / "image").glob("02.*")
    row = SimpleNamespace(**read_csv(results / "manifest.csv").iloc[2].to_dict())
    table = pd.DataFrame([{**vars(row), "image": str(path)}])
    outputs = [results / name for name in ("i.npy", "l.npy", "i.csv")]
    cut(path)
    with pytest.raises(UserError, match=r"02\.\w+: changed since validate read it"):
        build_store(table, *outputs)
    path.unlink()
    with pytest.raises(UserError, match=r"02\.\w+: no such file"):
        build_store(table, *outputs)


def test_a_flipped_bit_of_a_tiff_is_told_by_the_sum_in_the_manifest_alone(results, tmp_path):
    """A TIFF without compression has no checksum of its own."""
    row = read_csv(results / "manifest.csv").iloc[2].to_dict()
    path, pixels = tmp_path / "a.tif", other()
    tifffile.imwrite(path, pixels)
    table = pd.DataFrame([{**row, "image": str(path), "sha256_image": sha256(path)}])
    table["label"] = str(next((results / "label").glob("02.*")))
    outputs = [tmp_path / name for name in ("i.npy", "l.npy", "i.csv")]
    build_store(table, *outputs)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert np.count_nonzero(read_pixels(path) != pixels) == 1
    with pytest.raises(UserError, match=r"a\.tif: changed since validate read it"):
        build_store(table, *outputs)


# --- arrays and tables by themselves ----------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"text"])
def test_a_file_that_is_no_array_is_named(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.npy: not a whole array"):
        read_array(tmp_path / "a.npy")


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"a\.npy: not a whole array"):
        read_array(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"", b"id,fold\n1,2", b'id\n"1\n', b"id\n\xff\n"])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.csv: not a whole table"):
        read_csv(tmp_path / "a.csv")
