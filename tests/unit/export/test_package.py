"""A package predicts anywhere what the run predicts, and an altered one is refused by name."""

import heapq
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import warnings
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from saved_runs import build_small_network, write_fold
from scipy import ndimage
from scipy.special import expit

pytest.importorskip("onnxruntime", reason="locked, but not installed; run make setup")
pytest.importorskip("tf2onnx", reason="locked, but not installed; run make setup")

import onnx
from onnx import helper, numpy_helper

import maskmake
from maskmake.data.images import read_pixels
from maskmake.export import package as package_module
from maskmake.export.description import describe
from maskmake.export.onnx_file import write_onnx
from maskmake.export.package import ExportInputs, write_package
from maskmake.masks.run_folds import list_folds
from maskmake.network import saved_networks
from maskmake.network.settings import PredictSettings
from maskmake.predict.segmentation import segment_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_json, write_png
from maskmake.runtime.sums import write_sums

pytestmark = pytest.mark.long

SETTINGS = {
    "name": None,
    "description": None,
    "authors": [{"name": "Ada Lovelace", "affiliation": "Analytical & Co"}],
    "cite": [{"text": "A book."}, {"text": "A paper.", "doi": "10.1371/journal.pbio.1000502"}],
    "license": "CC-BY-4.0",
    "sample": None,
}
TILING = {"tile": 32, "overlap": 0.5, "tta": True}
DECISION = {"threshold": 0.5, "min_object": 6, "min_hole": 9}
SCALE, MIDDLE, BIASES = 1 / 40, 130.0, (-0.5, 0.1)


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    """The folder of a run of two folds; a logit is ``(pixel - 130) / 40 + bias``."""
    run = tmp_path_factory.mktemp("run")
    for fold, bias in enumerate(BIASES):
        write_fold(run / f"fold{fold}", scale=[SCALE], offset=[-MIDDLE * SCALE], bias=bias)
    folds = sorted(run.glob("fold*"))
    write_json(run / "decision.json", DECISION)
    files = ([str(fold / name) for fold in folds] for name in ("model.keras", "training.json"))
    write_json(run / "run.json", list_folds(*files))
    write_json(run / "metrics.json", {"images": 1, "mean_dice": 0.9, "mean_dice_low": 0.8})
    return run


def inputs_of(run, dataset):
    folds = sorted(run.glob("fold*"))
    return ExportInputs(
        run / "run.json",
        run / "decision.json",
        [fold / "model.keras" for fold in folds],
        [fold / "training.json" for fold in folds],
        run / "metrics.json",
        *(dataset.inputs[name] for name in ("plan", "images", "index", "splits")),
    )


@pytest.fixture(scope="module")
def package(run, dataset, tmp_path_factory):
    """The package of that run, moved to another folder."""
    out = tmp_path_factory.mktemp("out") / "package"
    # What a killed job has left is no part of the next package.
    (out.parent / ".partial-package").mkdir()
    (out.parent / ".partial-package" / "left.txt").touch()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # it would be a line of a library in the log
        patch.setattr(saved_networks, "build_network", build_small_network)
        write_package(inputs_of(run, dataset), SETTINGS, TILING, "a.b", out)
    return Path(shutil.move(out, tmp_path_factory.mktemp("elsewhere") / "package"))


@pytest.mark.parametrize("shape", [(1, 1), (20, 45), (32, 32), (97, 131)])
def test_an_array_of_any_size(package, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    mask, probability = maskmake.load(package).predict(image)
    expected = expit((image - MIDDLE) * SCALE + np.mean(BIASES))
    np.testing.assert_allclose(probability, expected, atol=1e-3)
    assert mask.shape == shape and mask.dtype == bool
    np.testing.assert_array_equal(mask, decide(probability, **DECISION))


def decide(probability, threshold, min_object, min_hole, upper=None, min_seed=0, objects=None):
    """What ``decision.json`` says, from NumPy and the labelling of SciPy alone."""

    def pieces(mask, smallest, corners=False):
        labels, _ = ndimage.label(mask, np.ones((3, 3)) if corners else None)
        return np.where(np.bincount(labels.ravel())[labels] < smallest, 0, labels)

    turned = objects == "background"  # what follows knows objects, whichever class they are
    seen = 1 - probability if turned else probability
    threshold = 1 - threshold if turned else threshold
    mask = pieces(seen > threshold, min_object) > 0
    if mask.any():
        mask = ~(pieces(~mask, min_hole, corners=True) > 0)
    if upper is not None:
        owner = pieces(mask & (seen > (1 - upper if turned else upper)), min_seed)
        queue = [(-seen[pixel], pixel) for pixel in zip(*owner.nonzero(), strict=True)]
        heapq.heapify(queue)
        while queue:  # seeds grow, the surest pixel first
            _, (row, column) = heapq.heappop(queue)
            for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                other = row + down, column + right
                inside = 0 <= other[0] < mask.shape[0] and 0 <= other[1] < mask.shape[1]
                if inside and mask[other] and not owner[other]:
                    owner[other] = owner[row, column]
                    heapq.heappush(queue, (-seen[other], other))
        for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            meet = (owner[a] != owner[b]) & (owner[a] > 0) & (owner[b] > 0)
            mask[a] &= ~(meet & (seen[a] < seen[b]))  # of two that meet, the fainter is a line
            mask[b] &= ~(meet & ~(seen[a] < seen[b]))
    return ~mask if turned else mask


LEVELS = {
    "one level, background": {"threshold": 0.55, "objects": "background"},
    "two levels": {"threshold": 0.4, "upper": 0.8, "min_seed": 3},
    "two levels, background": {
        "threshold": 0.7,
        "upper": 0.3,
        "min_seed": 3,
        "objects": "background",
    },
}


def test_packed_decision_makes_the_packed_mask_of_the_packed_probability(package):
    decision = json.loads((package / "decision.json").read_text())
    mask = decide(np.load(package / "sample/probability.npy"), **decision)
    assert 0 < mask.mean() < 1
    packed = read_pixels(package / "sample/mask.png")
    assert (mask.astype(np.uint8) * 255).tobytes() == packed.tobytes()


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_a_packed_decision_of_other_levels_makes_the_mask(package, tmp_path, levels):
    copy = shutil.copytree(package, tmp_path / "package")
    write_json(copy / "decision.json", DECISION | levels)
    write_sums(copy)
    # Smooth, and no pixel as bright as another: which of two equal ones grows first is not defined.
    smooth = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(16, 16)), 1.2)
    image = smooth.ravel().argsort().argsort().reshape(smooth.shape).astype(np.uint8)
    mask, probability = maskmake.load(copy).predict(image)
    assert np.unique(probability).size == probability.size
    expected = decide(probability, **json.loads((copy / "decision.json").read_text()))
    assert mask.tobytes() == expected.tobytes()
    if "upper" in levels:  # and lines were drawn
        assert (mask != decide(probability, **(DECISION | levels | {"upper": None}))).any()


def test_segment_takes_a_package_and_writes_the_same_bytes(run, package, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    image = np.random.default_rng(1).integers(0, 256, (50, 70), np.uint8)
    write_png(tmp_path / "a.png", image)
    masks = []
    for folder in (run, package):
        out = tmp_path / folder.name
        segment(folder, tmp_path / "a.png", out)
        masks.append((out / "a.png").read_bytes())
    assert masks[0] == masks[1]


def segment(folder, image, out):
    folds, settings = sorted(folder.glob("fold*")), PredictSettings(**TILING)
    decision, run = folder / "decision.json", folder / "run.json"
    return segment_images([str(image)], folds, decision, settings, out, run)


def names(package):
    return [line.split("  ")[1] for line in (package / "SHA256SUMS").read_text().splitlines()]


def test_every_file_has_its_sum(package):
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert set(names(package)) == found - {"SHA256SUMS"}
    expected = {"model.keras", "model.onnx", "rdf.yaml", "README.md", "ro-crate-metadata.json"}
    assert expected <= found


def test_the_description_has_what_bioimage_io_allows_and_the_card_has_all(package):
    described = yaml.safe_load((package / "rdf.yaml").read_text())
    assert described["name"] == "maskmake a-b"
    assert described["cite"] == [SETTINGS["cite"][1]]
    card = (package / "README.md").read_text()
    assert "- cite: A book." in card and "- cite: A paper. 10.1371" in card
    crate = json.loads((package / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in crate}
    author = entities[entities["./"]["author"]["@id"]]
    assert entities[author["affiliation"]["@id"]]["name"] == "Analytical & Co"


def test_the_crate_says_what_the_package_was_made_of_and_when(package, dataset):
    graph = json.loads((package / "ro-crate-metadata.json").read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)
    training, export = (entities[name["@id"]] for name in entities["./"]["mentions"])
    made = {name["@id"] for name in training["result"]}
    networks = {f"fold{k}/{file}" for k in (0, 1) for file in ("model.keras", "training.json")}
    assert made == networks | {"run.json", "decision.json"}
    assert made <= {name["@id"] for name in export["object"]}
    packed = {name["@id"] for name in export["result"]}
    assert packed | made == {name["@id"] for name in entities["./"]["hasPart"]}
    assert not packed & made

    assert training["endTime"] == "2026-11-27"  # the day that training.json has
    started, ended = (datetime.fromisoformat(export[end]) for end in ("startTime", "endTime"))
    assert timedelta(0) <= ended - started < timedelta(minutes=10)

    used = [entities[name["@id"]] for name in training["object"]]
    assert used[0]["identifier"] == f"sha256:{sha256(dataset.inputs['index'])}"
    assert "6 images" in used[0]["description"] and "index.csv" in used[0]["description"]
    settings = {entity["name"]: entity["value"] for entity in used[1:]}
    assert settings["train.encoder"] == "resnet18" and settings["train.patch"] == 32
    assert settings["train.encoder_weights"] == "null"
    exported = [entities[name["@id"]] for name in export["object"]]
    assert {"predict.tta": True, "predict.tile": 32}.items() <= {
        entity["name"]: entity["value"] for entity in exported if "value" in entity
    }.items()
    assert "url" not in entities["#maskmake"]  # no address is known


@pytest.mark.parametrize("architecture", ["Unet", "FPN", "Linknet", "PSPNet"])
def test_a_model_is_tagged_by_its_architecture(package, architecture):
    training = json.loads((package / "fold0/training.json").read_text())
    training["settings"]["architecture"] = architecture
    described = describe(package, SETTINGS, "name", "about", training, None)
    assert architecture.lower() in described["tags"]
    assert ("unet" in described["tags"]) == (architecture == "Unet")


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError(f"asked for {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# The next three need packages that are no part of the lock; see docs/export.md.
@pytest.mark.slow
@pytest.mark.parametrize("weights", ["onnx", "keras_v3"])
@pytest.mark.usefixtures("offline")
def test_bioimageio_core_accepts_the_package(package, weights):
    core = pytest.importorskip("bioimageio.core", reason="bioimageio.core is not installed")
    summary = core.test_model(package / "rdf.yaml", weight_format=weights)
    assert summary.status == "passed", summary.display()


@pytest.mark.slow
def test_opencv_gives_the_same_logits(package):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    images = np.load(package / "sample/input.npy")
    network = cv2.dnn.readNetFromONNX(str(package / "model.onnx"))
    network.setInput(images, "images")
    found = expit(network.forward().reshape(images.shape))
    np.testing.assert_allclose(found, np.load(package / "sample/output.npy"), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["ro-crate-1.1", "process-run-crate-0.5"])
def test_roc_validator_accepts_the_crate(package, profile):
    services = pytest.importorskip(
        "rocrate_validator.services", reason="roc-validator is not installed"
    )
    try:
        socket.create_connection(("w3id.org", 443), timeout=10).close()
    except OSError:
        pytest.skip("w3id.org, which has the context that a crate names, cannot be reached")
    result = services.validate({"rocrate_uri": str(package), "profile_identifier": profile})
    assert not [issue.message for issue in result.get_issues()]


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


GREY = np.random.default_rng(4).integers(0, 256, (33, 40), np.uint8)


def with_alpha():
    return Image.fromarray(np.dstack([GREY, 255 - GREY]))


def with_a_palette():
    image = Image.fromarray(255 - GREY)  # an index is no brightness
    image.putpalette([255 - level for level in range(256) for _ in "rgb"])
    return image


def turned():
    image = Image.fromarray(np.rot90(GREY))
    image.getexif()[0x0112] = 6  # seen a quarter turn clockwise
    return image


@pytest.mark.parametrize("make", [with_alpha, with_a_palette, turned])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_read_as_segment_reads_it(package, tmp_path, make, kind):
    image = make()
    image.save(tmp_path / "a.png", exif=image.getexif())
    found = maskmake.load(package).predict(kind(tmp_path / "a.png"))
    for part, expected in zip(found, maskmake.load(package).predict(GREY), strict=True):
        np.testing.assert_array_equal(part, expected)


def test_the_channels_of_a_file_are_those_of_the_training(package, tmp_path):
    copy = shutil.copytree(package, tmp_path / "package")
    path = copy / "preprocessing.json"
    write_json(path, {**json.loads(path.read_text()), "selection": [2]})
    write_sums(copy)
    with_alpha().save(tmp_path / "a.png")
    mask, _ = maskmake.load(copy).predict(tmp_path / "a.png")
    np.testing.assert_array_equal(mask, maskmake.load(package).predict(255 - GREY).mask)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: tifffile.imwrite(path, np.stack([GREY] * 9)), "a stack of 9 images;"),
        (lambda path: tifffile.imwrite(path, GREY.astype(np.uint16)), "pixel type uint16, but"),
        (lambda path: write_png(path, np.dstack([GREY, GREY, 255 - GREY])), "colours, where grey"),
        (lambda path: path.write_text("no pixels"), "cannot be decoded"),
        (lambda path: None, "no such file."),
    ],
    ids=["stack", "type", "channels", "damaged", "missing"],
)
def test_a_file_that_is_no_such_image_is_named(package, tmp_path, write, sentence):
    path = tmp_path / "a.tif"
    write(path)
    with pytest.raises(UserError) as error:
        maskmake.load(package).predict(path)
    assert str(error.value).startswith(f"{path}: {sentence}")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((8, 8, 2), np.uint8), "2 channels, but the model was trained on 1;"),
        (np.zeros((8, 8), np.uint16), "pixel type uint16, but the model was trained on uint8,"),
        (np.zeros((8, 8), np.float64), "pixel type float64, but the model was trained on uint8,"),
        (np.zeros((8, 8), complex), "type complex128; expected numbers, of type uint8;"),
        (np.array("text"), "shape (); expected one image,"),
        (np.zeros((2, 8, 8, 1), np.uint8), "shape (2, 8, 8, 1); expected one image,"),
        (np.zeros((0, 8), np.uint8), "shape (0, 8); expected one image,"),
    ],
    ids=lambda value: str(getattr(value, "shape", "")) + str(getattr(value, "dtype", "")),
)
def test_an_array_that_is_no_such_image_is_one_sentence(package, array, sentence):
    with pytest.raises(UserError) as error:
        maskmake.load(package).predict(array)
    assert f"array: {sentence}" in str(error.value)
    assert str(error.value).count(". ") == 0 and str(error.value).endswith(".")


def code_of(text):
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return block


def test_the_lines_of_the_documentation_run_without_keras_and_snakemake(package, tmp_path):
    documented = code_of((Path(__file__).parents[3] / "docs/export.md").read_text())
    in_card = code_of((package / "README.md").read_text())
    assert in_card.replace("  # the path of this folder", "") == documented
    image = np.random.default_rng(2).integers(0, 256, (40, 50), np.uint8)
    write_png(tmp_path / "image.png", image)
    (tmp_path / "package").symlink_to(package)
    # Modules that are None cannot be imported, as if they were not installed.
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['keras', 'tensorflow', 'snakemake', 'onnx', 'h5py'])\n"
        f"{documented}"
        "print('load' in dir(maskmake), maskmake.__all__)\n"  # as notebooks ask for completions
    )
    environment = os.environ | {"PYTHONPATH": str(Path(maskmake.__file__).parents[1])}
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    mask, probability = maskmake.load(package).predict(image)
    assert 0 < mask.mean() < 1
    expected = f"{mask.mean():.1%} foreground; surest pixel {probability.max():.3f}\n"
    assert found.stdout == f"{expected}True ['load']\n", found.stderr
    np.testing.assert_array_equal(read_pixels(tmp_path / "mask.png") > 0, mask)


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


def changed(networks, path, operator, value):
    """A graph whose converter was wrong: one more node at its end."""
    write_onnx(networks, path)
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "before"
    model.graph.initializer.append(numpy_helper.from_array(value, "value"))
    model.graph.node.append(helper.make_node(operator, ["before", "value"], ["logits"]))
    onnx.save(model, path)


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
