"""How a package was made, as a research object: ``ro-crate-metadata.json`` (RO-Crate 1.1)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from maskmake.export.description import Author, ExportSettings

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


def crate(
    folder: Path, settings: ExportSettings, name: str, about: str, versions: Mapping[str, str]
) -> dict[str, Any]:
    """Contents of ``ro-crate-metadata.json``.

    Args:
        folder: of the package, with all other files but the sums.
        settings: who made it, and under which license.
        name: of the model.
        about: what the model does, a sentence.
        versions: of what made it; that of maskmake too.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [_file(path, folder) for path in paths]
    parts = [{"@id": file["@id"]} for file in files]
    authors = [_author(number, author) for number, author in enumerate(settings["authors"])]
    affiliations = _affiliations(settings["authors"])
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": settings["description"] or about,
        "datePublished": now,
        "conformsTo": {"@id": PROFILE},
        "license": {"@id": "#license"},
        "hasPart": parts,
        "mentions": {"@id": "#making"},
    }
    if authors:
        made_by = [{"@id": author["@id"]} for author in authors]
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
            *_making(now, parts, versions, authors),
            *authors,
            *affiliations,
            *files,
        ],
    }


def _making(
    now: str, parts: list[dict[str, str]], versions: Mapping[str, str], authors: list[dict]
) -> list[dict[str, Any]]:
    """The action that made the package, and the program it was made with."""
    agent = authors[0] if authors else {"@id": "#maskmake"}
    return [
        {
            "@id": "#making",
            "@type": "CreateAction",
            "name": "Training of the networks and export of the package",
            "description": "versions: " + ", ".join(f"{k} {v}" for k, v in versions.items()),
            "endTime": now,
            "instrument": {"@id": "#maskmake"},
            "agent": {"@id": agent["@id"]},
            "result": parts,
        },
        {
            "@id": "#maskmake",
            "@type": "SoftwareApplication",
            "name": "maskmake",
            "description": "from images and masks to a trained segmentation model",
            "softwareVersion": versions["maskmake"],
            "url": "https://snakemake.github.io/snakemake-workflow-catalog/",
        },
    ]


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
