"""How a package was made, as a research object: ``ro-crate-metadata.json`` (RO-Crate 1.1)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from maskmake.export.description import Author, ExportSettings
from maskmake.network.settings import TrainingRecord
from maskmake.report.terms import counted
from maskmake.runtime.version import version

METADATA = "ro-crate-metadata.json"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TYPES = {
    ".json": "application/json",
    ".keras": "application/zip",
    ".md": "text/markdown",
    ".npy": "application/octet-stream",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".yaml": "application/yaml",
}
MEANINGS = {
    "model.onnx": "the network, float32, as ONNX",
    "model.keras": "the network, float32, as Keras 3 saves it",
    "decision.json": "how a mask is made of a probability",
    "preprocessing.json": "what the network expects of images",
    "rdf.yaml": "description for bioimage.io",
    "README.md": "model card",
    "cover.png": "a test image and its mask",
    "run.json": "the networks of the run and their sums",
}


# What a run has learned, beside its folds.
LEARNED = ("run.json", "decision.json")


class Making(NamedTuple):
    """What a package was made of, and when.

    Attributes:
        trainings: contents of ``training.json`` of each fold.
        images: of the data set.
        sums: SHA-256 of ``index.csv``, which has those of the pixels of every image and label.
        predict: section ``predict``.
        started: when the export began.
    """

    trainings: Sequence[TrainingRecord]
    images: int
    sums: str
    predict: Mapping[str, Any]
    started: datetime


def crate(
    folder: Path, settings: ExportSettings, name: str, about: str, making: Making
) -> dict[str, Any]:
    """Contents of ``ro-crate-metadata.json``.

    Args:
        folder: of the package, with all other files but the sums.
        settings: who made it, and under which license.
        name: of the model.
        about: what the model does, a sentence.
        making: what it was made of.
    """
    now = _written(datetime.now(UTC))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [_file(path, folder) for path in paths]
    parts = _references(files)
    authors = [_author(number, author) for number, author in enumerate(settings["authors"])]
    affiliations = _affiliations(settings["authors"])
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": about,
        "datePublished": now,
        "conformsTo": {"@id": PROFILE},
        "license": {"@id": "#license"},
        "hasPart": parts,
        "mentions": [{"@id": "#training"}, {"@id": "#export"}],
    }
    if authors:
        made_by = _references(authors)
        root["author"] = made_by if len(made_by) > 1 else made_by[0]
    license_name = settings["license"] or "not stated"
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": METADATA,
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            root,
            {
                "@id": "#license",
                "@type": "CreativeWork",
                "name": license_name,
                "description": f"license of the model: {license_name}",
            },
            {
                "@id": PROFILE,
                "@type": "CreativeWork",
                "name": "Process Run Crate",
                "version": "0.5",
            },
            *_actions(now, parts, making, authors),
            *authors,
            *affiliations,
            *files,
        ],
    }


def _actions(
    now: str, parts: list[dict[str, str]], making: Making, authors: list[dict]
) -> list[dict[str, Any]]:
    """The two actions that made the package, what they used, and the program."""
    agent = {"@id": authors[0]["@id"] if authors else "#maskmake"}
    learned = [part for part in parts if part["@id"] in LEARNED or part["@id"].startswith("fold")]
    packed = [part for part in parts if part not in learned]
    first = making.trainings[0]
    trained = _settings("train", first["settings"])
    applied = _settings("predict", making.predict)
    versions = ", ".join(f"{package} {number}" for package, number in first["versions"].items())
    days = sorted(training.get("finished", "") for training in making.trainings)
    return [
        {
            "@id": "#training",
            "@type": "CreateAction",
            "name": "Training of the networks and learning of the decision",
            "description": f"versions: {versions}",
            **({"endTime": days[-1]} if days[-1] else {}),
            "instrument": {"@id": "#maskmake"},
            "agent": agent,
            "object": [{"@id": "#data"}, *_references(trained)],
            "result": learned,
        },
        {
            "@id": "#export",
            "@type": "CreateAction",
            "name": "Export of the package",
            "description": "networks as ONNX and Keras, sample, description and model card",
            "startTime": _written(making.started),
            "endTime": now,
            "instrument": {"@id": "#maskmake"},
            "agent": agent,
            "object": [*learned, *_references(applied)],
            "result": packed,
        },
        {
            "@id": "#data",
            "@type": "CreativeWork",
            "name": "Images and labels of the data set",
            "description": f"{counted(making.images, 'image')} with labels, which are no part of "
            "the package; the identifier is the SHA-256 of data/index.csv, which has the sums of "
            "the pixels of each image and label",
            "identifier": f"sha256:{making.sums}",
        },
        *trained,
        *applied,
        {
            "@id": "#maskmake",
            "@type": "SoftwareApplication",
            "name": "maskmake",
            "description": "from images and masks to a trained segmentation model",
            "softwareVersion": version(),
        },
    ]


def _settings(section: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An entity for each setting of a section; what JSON-LD has no value for is text."""
    return [
        {
            "@id": f"#{section}.{name}",
            "@type": "PropertyValue",
            "name": f"{section}.{name}",
            "value": value if isinstance(value, bool | int | float | str) else json.dumps(value),
        }
        for name, value in values.items()
    ]


def _references(entities: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]


def _written(time: datetime) -> str:
    return time.isoformat(timespec="seconds")


def _file(path: Path, folder: Path) -> dict[str, Any]:
    name = path.relative_to(folder).as_posix()
    return {
        "@id": name,
        "@type": "File",
        "name": path.name,
        "description": MEANINGS.get(name, f"{name} of the package"),
        "contentSize": str(path.stat().st_size),
        "encodingFormat": TYPES.get(path.suffix, "text/plain"),
    }


def _author(number: int, author: Author) -> dict[str, Any]:
    orcid = author.get("orcid")
    person = f"https://orcid.org/{orcid}" if orcid else f"#author{number}"
    found: dict[str, Any] = {"@id": person, "@type": "Person", "name": author["name"]}
    if "affiliation" in author:
        found["affiliation"] = {"@id": _place(author["affiliation"])}
    return found


def _affiliations(authors: Sequence[Author]) -> list[dict[str, Any]]:
    """The organizations of the authors, each once."""
    names = dict.fromkeys(filter(None, (author.get("affiliation") for author in authors)))
    return [{"@id": _place(name), "@type": "Organization", "name": name} for name in names]


def _place(affiliation: str) -> str:
    return f"#{quote(affiliation, safe='')}"
