"""The report of a results folder of ``planted``, and what a test asks of a page."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from maskmake.report import figures
from maskmake.report.inputs import ReportInputs, ReportOutputs
from maskmake.report.page import write_report

FIGURES = {"data.png", "augmented.png", "training.svg", "threshold.svg", "scores.svg"}
FIGURES |= {"examples.png", "calibration.svg"}


class Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.sources, self.links, self.ids, self.alternatives, self.headings = [], [], [], [], []
        self.tags, self.text, self.open = Counter(), "", ""
        self.landmarks = Counter()  # of each role and name
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags[tag] += 1
        self.open = tag
        self.sources += [values["src"]] if "src" in values else []
        self.links += [values[key] for key in ("href", "xlink:href") if key in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "nav" or values.get("role") == "region":
            self.landmarks[values.get("role", tag), values["aria-label"]] += 1
        if tag == "img":
            self.alternatives.append(values["alt"])
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        self.text += "" if self.open in ("script", "style") else data


def inputs_of(folder: Path, runs: list[str], folds: int) -> ReportInputs:
    data = folder / "data"

    def run_paths(name: str) -> list[Path]:
        return [folder / "runs" / run / name for run in runs]

    def fold_paths(name: str) -> list[Path]:
        return [path / f"fold{fold}" / name for path in run_paths("") for fold in range(folds)]

    return ReportInputs(
        audit=data / "audit.json",
        manifest=data / "manifest.csv",
        images=data / "images.npy",
        labels=data / "labels.npy",
        index=data / "index.csv",
        splits=data / "splits.csv",
        split=data / "split.json",
        comparison=folder / "comparison.csv",
        pairs=folder / "comparison_pairs.csv",
        plans=run_paths("plan.json"),
        history=fold_paths("history.csv"),
        training=fold_paths("training.json"),
        augmented=run_paths("fold0/augmented.npy"),
        decision=run_paths("decision.json"),
        folds=run_paths("run.json"),
        diagnosis=run_paths("specks.json"),
        specks=run_paths("specks.png"),
        speck_drawings=run_paths("specks.svg"),
        speck_tables=run_paths("specks.csv"),
        metrics=run_paths("metrics.json"),
        per_image=run_paths("per_image.csv"),
        reliability=run_paths("reliability.csv"),
        masks=run_paths("masks"),
        probability=run_paths("probability"),
        regions=run_paths("regions"),
        benchmarks=list((folder / "benchmarks").iterdir()),
    )


def leave_out_drawings(patch: pytest.MonkeyPatch) -> None:
    """Let figures be empty: no sentence is in one, and drawing them is most of a report's time."""
    for kind in ("training", "threshold", "scores", "reliability", "picture"):
        patch.setattr(figures, f"{kind}_figure", lambda *_: None)
    patch.setattr(figures, "svg", lambda *_: "<svg></svg>")
    patch.setattr(figures, "png", lambda *_: b"")


def render(folder: Path, settings: dict, left_out: dict | None = None) -> tuple[str, Page]:
    runs = list(settings["runs"])
    inputs = inputs_of(folder, runs, settings["split"]["folds"])
    written = {Path(name).stem: folder / "report" / name for name in FIGURES}
    images = folder / "report/images"
    outputs = ReportOutputs(page=folder / "report.html", images=images, **written)
    write_report(inputs, runs, settings, outputs, left_out=left_out)
    text = outputs.page.read_text(encoding="utf-8")
    return text, Page(text)
