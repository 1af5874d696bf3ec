"""What a package has in it, and that a wrong one is not written."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from packages import SETTINGS, TILING, changed, inputs_of, segment
from saved_runs import build_small_network

import maskmake
from maskmake.export import package as package_module
from maskmake.export.package import write_package
from maskmake.masks.run_folds import list_folds
from maskmake.network import saved_networks
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_json

pytestmark = pytest.mark.long


def names(package):
    return [line.split("  ")[1] for line in (package / "SHA256SUMS").read_text().splitlines()]


def test_every_file_has_its_sum(package):
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert set(names(package)) == found - {"SHA256SUMS"}
    expected = {"model.keras", "model.onnx", "rdf.yaml", "README.md", "ro-crate-metadata.json"}
    assert expected <= found


@pytest.mark.parametrize("use", ["load", "segment"])
def test_one_altered_byte_or_a_missing_file_is_refused_by_name(package, tmp_path, use):
    def apply(folder):
        if use == "load":
            maskmake.load(folder)
        else:
            segment(folder, "none.png", tmp_path / "out")

    for name in names(package):
        copy = Path(shutil.copytree(package, tmp_path / "copy"))
        content = bytearray((copy / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
        with pytest.raises(UserError, match="other bytes") as error:
            apply(copy)
        assert str(error.value).startswith(f"{copy / name}: ")
        (copy / name).unlink()
        with pytest.raises(UserError, match="missing") as error:
            apply(copy)
        assert str(error.value).startswith(f"{copy / name}: ")
        shutil.rmtree(copy)


def test_sums_that_are_missing_or_damaged_are_named(package, tmp_path):
    copy = Path(shutil.copytree(package, tmp_path / "copy"))
    for text in ("no sums\n", f"{'0' * 64}  ../outside\n", None):
        if text is None:
            (copy / "SHA256SUMS").unlink()
        else:
            (copy / "SHA256SUMS").write_text(text)
        with pytest.raises(UserError, match=r"SHA256SUMS: (line 1|missing)"):
            maskmake.load(copy)


def test_a_sample_has_the_channels_that_were_selected(run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for path in copy.glob("fold*/training.json"):
        record = json.loads(path.read_text())
        record["preprocessing"]["selection"] = [1, 2, 3]  # of grey pictures, saved as RGB
        write_json(path, record)
    folds = sorted(copy.glob("fold*"))
    files = ([str(fold / name) for fold in folds] for name in ("model.keras", "training.json"))
    write_json(copy / "run.json", list_folds(*files))
    out = tmp_path / "package"
    write_package(inputs_of(copy, dataset), SETTINGS, TILING, "test", out)
    image = np.load(out / "sample/image.npy")
    assert image.ndim == 2
    predicted = maskmake.load(out).predict(np.repeat(image[..., None], 3, axis=2))
    np.testing.assert_array_equal(predicted.probability, np.load(out / "sample/probability.npy"))


@pytest.mark.parametrize(
    ("operator", "value", "sentence"),
    [
        ("Unsqueeze", np.array([0]), r"gives the shape \(1, 1, \d+, \d+, 1\); expected \(1, "),
        ("Add", np.float32([0.01]), r"differs from Keras by 0\.00\d+ in probability"),
    ],
)
def test_a_graph_that_differs_from_keras_is_refused(
    run, dataset, tmp_path, monkeypatch, operator, value, sentence
):
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    wrong = partial(changed, operator=operator, value=value)
    monkeypatch.setattr(package_module, "write_onnx", wrong)
    with pytest.raises(UserError, match=sentence):
        write_package(inputs_of(run, dataset), SETTINGS, TILING, "test", tmp_path / "package")
    assert not list(tmp_path.iterdir())
