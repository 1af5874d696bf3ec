"""What a package says of itself, and that other programs take it."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from packages import SETTINGS
from scipy.special import expit

import maskmake
from maskmake.data.images import read_pixels
from maskmake.export.description import describe
from maskmake.runtime.files import sha256, write_png

pytestmark = pytest.mark.long


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
