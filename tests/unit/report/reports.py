"""Reports of constructed results, as texts, with the numbers that their sentences have to say."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from constructed import (
    SOURCES,
    Constructed,
    constant,
    exact,
    joined,
    larger_speck,
    noisy,
    read_mask,
    squares,
    two_discs,
    write_results,
)
from rendering import leave_out_drawings

from maskmake.data.images import read_pixels
from maskmake.report import sentences
from maskmake.report.inputs import ReportOutputs
from maskmake.report.page import write_report
from maskmake.runtime.files import read_csv, read_json
from maskmake.scores import bootstrap
from maskmake.scores.pixels import Confusion, confusion


def shifted(step):
    """Good masks but for one image, another one for each step."""
    return lambda label, rng, place: (
        exact(label, rng, place)
        if place % 2 == step
        else noisy(6)(label, np.random.default_rng(5), place)
    )


def without(places):
    """Exact, but nothing is found in some images."""
    return lambda label, rng, place: (
        np.full(label.shape, 0.02) if place in places else exact(label, rng, place)
    )


GOOD, FAIR, BAD = noisy(2), noisy(4), noisy(9)
RESULTS = {
    "a good run": Constructed({"unet": GOOD}),
    "nothing found": Constructed({"unet": constant(0.0)}),
    "everything found": Constructed({"unet": exact}),
    "everything marked": Constructed({"unet": constant(0.9)}, share=0.7),
    "one test image": Constructed({"unet": FAIR}, test=1),
    "one validation image": Constructed({"unet": noisy(2, specks=2)}, validation=1),
    "no clean-up": Constructed({"unet": larger_speck}, label=squares),
    "specks": Constructed({"unet": noisy(1, specks=4)}),
    "faint specks": Constructed({"unet": noisy(1, specks=4, speck=0.6)}),
    "a worse run": Constructed({"small": BAD, "unet": GOOD}),
    "equal runs": Constructed({"a": FAIR, "b": FAIR}),
    "runs good at other images": Constructed({"a": shifted(0), "b": shifted(1)}),
    "few images for two runs": Constructed({"a": GOOD, "b": FAIR}, test=3),
    "groups of images": Constructed({"a": GOOD, "b": BAD}, test=8, groups=4),
    "three runs": Constructed({"a": BAD, "b": FAIR, "c": GOOD}, test=8),
    "rare foreground": Constructed({"a": FAIR, "b": GOOD}, share=0.05),
    "rare and empty": Constructed({"unet": without({0, 1})}, share=0.08, empty=2),
    "nothing found in one run": Constructed({"a": constant(0.1), "b": exact}, share=0.1),
    "common foreground": Constructed({"unet": FAIR}, share=0.85),
    "two levels": Constructed({"unet": joined}, label=two_discs, method="auto"),
    "objects of the background": Constructed(
        {"unet": joined}, label=two_discs, method="auto", objects="background"
    ),
    "specks in the background": Constructed({"unet": noisy(1, specks=4)}, objects="background"),
    "overfitting": Constructed({"unet": BAD}, method="auto", val_loss=[1, 0.5, 0.4, 0.5, 0.8, 1]),
}


class Texts(HTMLParser):
    """The texts of paragraphs, items and headings, each with the section that it is in."""

    def __init__(self, page: str):
        super().__init__()
        self.section, self.open, self.found = "lead", [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "section" or values.get("id") == "notes":
            self.section = values["id"]
        if tag == "nav":  # follows the notes
            self.section = "lead"
        if tag in ("p", "li", "h3", "dt", "dd"):
            self.open = [self.section, tag, values.get("class"), ""]
            self.found.append(self.open)

    def handle_data(self, data):
        if self.open:
            self.open[3] += data

    def handle_endtag(self, tag):
        if tag in ("p", "li", "h3", "dt", "dd"):
            self.open = []

    def of(self, section: str, tag: str, kind: str | None = None) -> list[str]:
        return [
            re.sub(r"[ \n]+", " ", text).strip()
            for place, name, given, text in self.found
            if (place, name, given) == (section, tag, kind)
        ]


class Report(NamedTuple):
    """A rendered report and the files behind it; ``runs`` are in the order of the page."""

    folder: Path
    labels: dict
    test_ids: list[str]
    runs: list[str]
    metrics: dict[str, dict]
    decisions: dict[str, dict]
    texts: Texts

    @property
    def objects(self) -> str:
        (objects,) = {decision["objects"] for decision in self.decisions.values()}
        return objects

    @property
    def groups(self) -> int:
        return read_csv(self.folder / f"runs/{self.runs[0]}/per_image.csv")["group"].nunique()

    @property
    def drawn(self) -> str:
        return "image" if self.groups == len(self.test_ids) else "group"

    @property
    def resampled(self) -> str:
        return (
            "test images" if self.drawn == "image" else f"{self.groups} groups of the test images"
        )

    def counts(self, run: str) -> Confusion:
        pairs = ((read_mask(self.folder, run, i), self.labels[i]) for i in self.test_ids)
        return sum((confusion(*pair) for pair in pairs), Confusion())

    @property
    def headline_name(self) -> str:
        return self.headline.replace("_dice", " Dice")

    @property
    def headline(self) -> str:
        share = np.mean([self.labels[i].mean() for i in self.test_ids])
        return "foreground_dice" if share < 0.2 else "mean_dice"


def percent(text: str) -> float:
    return float(text.replace("\u00a0%", "")) / 100


def write_undrawn_report(made: Constructed, folder: Path) -> None:
    """Write a results folder and its report, without any drawing."""
    run_settings = {name: {"loss": "dice", "label_scale": 1, "patch": "auto"} for name in made.runs}
    settings = {
        "dataset": SOURCES | {"name": "x", "images": "in"},
        "split": {"folds": 1},
        "predict": {},
        "decide": {},
        "compare": {},
    }
    outputs = ReportOutputs(*(folder / "report" / name for name in ReportOutputs._fields))
    with pytest.MonkeyPatch.context() as patch:
        for module in (bootstrap, sentences):
            patch.setattr(module, "RESAMPLES", 400)
        leave_out_drawings(patch)
        inputs, _ = write_results(folder, made)
        write_report(inputs, list(made.runs), settings | {"runs": run_settings}, outputs)


def read_report(folder: Path) -> Report:
    labels = {
        i: (read_pixels(folder / f"in/label/{i}.png") > 0).astype(np.uint8)
        for i in read_csv(folder / "data/splits.csv")["id"]
    }
    runs = read_csv(folder / "comparison.csv")["run"].tolist()
    return Report(
        folder,
        labels,
        [i for i in labels if i[0] == "t" and i != "t0"],
        runs,
        {run: read_json(folder / f"runs/{run}/metrics.json") for run in runs},
        {run: read_json(folder / f"runs/{run}/decision.json") for run in runs},
        Texts((folder / "report/page").read_text()),
    )
