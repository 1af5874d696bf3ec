"""docs/files.md names every file, column and key of a finished run."""

import csv
import json
import re

import pytest
from workspace import ROOT

SECTION = re.compile(r"^## (.+)\n((?:(?!## ).*\n)*)", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
# Folders with a file for each job, image or figure, named by the page as a whole.
WHOLE_FOLDERS = ("logs", "benchmarks", "report", "probability", "regions", "masks")


def sections() -> dict[str, set[str]]:
    """The words in backticks of the section of each file."""
    text = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    found = {}
    for title, body in SECTION.findall(text):
        for name in title.replace("&lt;", "<").replace("&gt;", ">").split(", "):
            found[name] = set(SPAN.findall(body))
    return found


def documented_scores() -> set[str]:
    names = SPAN.findall((ROOT / "docs/scores.md").read_text(encoding="utf-8"))
    return {name + end for name in names for end in ("", "_low", "_high")}


@pytest.fixture(scope="module")
def results(finished):
    return finished / "results/tiny"


def result_files(results) -> dict[str, list]:
    """The paths of each kind of file, by its name in the page."""
    kinds: dict[str, list] = {}
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        if path.is_dir() or any(part.startswith(".") for part in parts):
            continue
        if set(parts[:-1]) & set(WHOLE_FOLDERS):
            continue
        kind = re.sub(r"/fold\d+/", "/fold<k>/", "/".join(parts))
        kinds.setdefault(re.sub(r"^runs/[^/]+", "runs/<run>", kind), []).append(path)
    return kinds


def test_every_file_is_in_the_page(results):
    text = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    titles = sections().keys()
    missing = [
        kind
        for kind in result_files(results)
        if kind not in titles and f"{kind.rsplit('/', 1)[-1]}`" not in text
    ]
    assert missing == []


def test_every_column_and_key_is_in_the_section_of_its_file(results):
    documented, scores = sections(), documented_scores()
    shown = documented["runs/<run>/metrics.json"]
    missing = {}
    for kind, (path, *_) in result_files(results).items():
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                names = set(next(csv.reader(file)))
        elif path.suffix == ".json":
            names = keys(json.loads(path.read_text(encoding="utf-8")))
        else:
            continue
        known = documented.get(kind, set()) | scores
        if kind == "comparison.csv":
            known |= shown
        if left := names - known:
            missing[kind] = sorted(left)
    assert missing == {}


# These are names of settings and of software, of pixel types and of numbers of channels.
OTHER_NAMES = {"settings", "versions", "dtypes", "channels", "by_cause", "seen"}


def keys(contents: dict) -> set[str]:
    """The keys of a JSON document and of the objects inside it."""
    found = set(contents)
    for name, value in contents.items():
        if isinstance(value, dict) and name not in OTHER_NAMES:
            found |= keys(value)
    return found
