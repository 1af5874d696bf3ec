"""The description of a package for bioimage.io: ``rdf.yaml``, specification 0.5."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from maskmake.export.onnx_file import INPUT, OPSET
from maskmake.network.settings import ENCODER_STRIDE, Preprocessing, TrainingRecord
from maskmake.runtime.files import sha256

FORMAT = "0.5.12"
SHORTEST_NAME, LONGEST_NAME = 5, 128
EPSILON = 1e-12  # added to a standard deviation; maskmake adds nothing


class Author(TypedDict):
    """Somebody who made the model."""

    name: str
    affiliation: NotRequired[str]
    orcid: NotRequired[str]


class Citation(TypedDict):
    """What to cite: a text, and its DOI if it has one."""

    text: str
    doi: NotRequired[str]


class ExportSettings(TypedDict):
    """Section ``export`` of the configuration."""

    name: str | None
    description: str | None
    authors: list[Author]
    cite: list[Citation]
    license: str | None
    sample: str | None


def describe(
    folder: Path,
    settings: ExportSettings,
    name: str,
    about: str,
    training: TrainingRecord,
    bound: int | None,
) -> dict[str, Any]:
    """Contents of ``rdf.yaml``.

    Args:
        folder: of the package, with all files that the description names.
        settings: who made it, and under which license.
        name: of the model.
        about: what the model does, a sentence.
        training: of the first network.
        bound: the side in pixels that the network is bound to, if it is.
    """
    architecture = training["settings"]["architecture"].lower()
    description: dict[str, Any] = {
        "type": "model",
        "format_version": FORMAT,
        "name": name,
        "description": about,
        "authors": settings["authors"],
        "cite": [entry for entry in settings["cite"] if "doi" in entry],
        "covers": [_source(folder, "cover.png")],
        "documentation": _source(folder, "README.md"),
        "tags": ["segmentation", "semantic-segmentation", architecture, "2d", "maskmake"],
        "attachments": [
            _source(folder, file)
            for file in ("decision.json", "preprocessing.json", "sample/mask.png")
        ],
        "inputs": [_input(folder, training["preprocessing"], bound)],
        "outputs": [_output(folder)],
        "weights": _weights(folder),
    }
    if settings["license"]:
        description["license"] = settings["license"]
    return description


def allowed_name(name: str) -> str:
    """A name as bioimage.io allows it: 5 to 128 letters, digits, blanks and ``_+-()``."""
    kept = re.sub(r"[^A-Za-z0-9_+() -]", "-", name)
    return (kept if len(kept) >= SHORTEST_NAME else f"maskmake {kept}")[:LONGEST_NAME]


def _input(folder: Path, trained: Preprocessing, bound: int | None) -> dict[str, Any]:
    channels = [f"channel{number}" for number in range(trained["channels"])]
    normalized = []
    if trained.get("per_image"):
        keywords = {"axes": ["y", "x"], "eps": EPSILON}
        normalized = [{"id": "zero_mean_unit_variance", "kwargs": keywords}]
    return {
        "id": INPUT,
        "description": "raw pixel values, as the training images had them",
        "axes": [
            {"type": "batch"},
            {"type": "space", "id": "y", "size": _side(bound)},
            {"type": "space", "id": "x", "size": _side(bound)},
            {"type": "channel", "channel_names": channels},
        ],
        "data": {"type": "float32"},
        "test_tensor": _source(folder, "sample/input.npy"),
        "preprocessing": normalized,
    }


def _side(bound: int | None) -> dict[str, int] | int:
    return {"min": ENCODER_STRIDE, "step": ENCODER_STRIDE} if bound is None else bound


def _output(folder: Path) -> dict[str, Any]:
    def same(axis: str) -> dict[str, Any]:
        return {"type": "space", "id": axis, "size": {"tensor_id": INPUT, "axis_id": axis}}

    return {
        "id": "probability",
        "description": "probability of foreground",
        "axes": [
            {"type": "batch"},
            same("y"),
            same("x"),
            {"type": "channel", "channel_names": ["foreground"]},
        ],
        "data": {"type": "float32", "range": [0, 1]},
        "test_tensor": _source(folder, "sample/output.npy"),
        "postprocessing": [{"id": "sigmoid"}],
    }


def _weights(folder: Path) -> dict[str, Any]:
    return {
        "keras_v3": {
            **_source(folder, "model.keras"),
            "keras_version": version("keras"),
            "backend": ["tensorflow", version("tensorflow")],
        },
        "onnx": {
            **_source(folder, "model.onnx"),
            "opset_version": OPSET,
            "parent": "keras_v3",
        },
    }


def _source(folder: Path, name: str) -> dict[str, str]:
    return {"source": name, "sha256": sha256(folder / name)}
