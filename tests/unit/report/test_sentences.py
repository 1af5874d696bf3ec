"""Every sentence of the report against the numbers of the files, for constructed results.

Each sentence that depends on results has to match one of the patterns here, which say what it
claims; so a new one has to be added.
"""

import re
from collections.abc import Iterator
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
from reasons import NUMBER, check_clean_up
from scipy import ndimage

from maskmake.masks.objectives import TINY
from maskmake.report import figures, sentences
from maskmake.report.inputs import ReportOutputs
from maskmake.report.page import write_report
from maskmake.report.terms import HEADINGS
from maskmake.runtime.files import read_csv, read_json
from maskmake.scores import bootstrap
from maskmake.scores.pixels import Confusion, confusion, pixel_scores


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
pytestmark = pytest.mark.long

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
assert len(RESULTS) >= 20


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


@pytest.fixture(scope="module", params=RESULTS)
def report(request, tmp_path_factory) -> Iterator[Report]:
    made, folder = RESULTS[request.param], tmp_path_factory.mktemp("results")
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
        # No sentence is in a figure.
        for kind in ("training", "threshold", "scores", "reliability", "picture"):
            patch.setattr(figures, f"{kind}_figure", lambda *_: None)
        patch.setattr(figures, "svg", lambda *_: "<svg></svg>")
        patch.setattr(figures, "png", lambda *_: b"")
        inputs, labels = write_results(folder, made)
        write_report(inputs, list(made.runs), settings | {"runs": run_settings}, outputs)
    runs = read_csv(folder / "comparison.csv")["run"].tolist()
    yield Report(
        folder,
        labels,
        [i for i in labels if i[0] == "t" and i != "t0"],
        runs,
        {run: read_json(folder / f"runs/{run}/metrics.json") for run in runs},
        {run: read_json(folder / f"runs/{run}/decision.json") for run in runs},
        Texts(outputs.page.read_text()),
    )


def percent(text: str) -> float:
    return float(text.replace("\u00a0%", "")) / 100


def test_the_result_is_that_of_the_best_run(report):
    (lead,) = report.texts.of("lead", "p", "lead")
    best = report.runs[0]
    scores = pixel_scores(report.counts(best))
    foreground = np.mean([report.labels[i].mean() for i in report.test_ids])
    rare = re.fullmatch(
        rf"On (\d+) held-out images? the foreground Dice of the run “(.+)” is ({NUMBER})\. "
        rf"Foreground is rare, (.+) of the pixels, so .+: mean Dice ({NUMBER}), background Dice "
        rf"({NUMBER}), and (.+) of the pixels right \(calling everything “(\w+)” would give "
        r"(.+)\)\.",
        lead,
    )
    if report.headline == "foreground_dice":
        images, run, dice, share, mean, background, accuracy, majority, chance = rare.groups()
        assert percent(share) == pytest.approx(foreground, abs=5.1e-4)
        assert float(mean) == pytest.approx(scores["mean_dice"], abs=5.1e-4)
    else:
        images, run, accuracy, majority, chance, dice, background = re.fullmatch(
            r"On (\d+) held-out images? the run “(.+)” labels (.+) of the pixels right \(calling "
            rf"everything “(\w+)” would give (.+)\); its Dice is ({NUMBER}) for the foreground and "
            rf"({NUMBER}) for the background\.",
            lead,
        ).groups()
    assert (int(images), run) == (len(report.test_ids), best)
    assert majority == ("foreground" if foreground >= 0.5 else "background")
    assert percent(accuracy) == pytest.approx(scores["pixel_accuracy"], abs=5.1e-4)
    assert percent(chance) == pytest.approx(max(foreground, 1 - foreground), abs=5.1e-4)
    assert float(dice) == pytest.approx(scores["foreground_dice"], abs=5.1e-4)
    assert float(background) == pytest.approx(scores["background_dice"], abs=5.1e-4)
    top = report.metrics[best][report.headline]
    assert all(top >= metrics[report.headline] for metrics in report.metrics.values())
    heading, value = report.texts.of("lead", "dt")[0], report.texts.of("lead", "dd")[0]
    assert heading == report.headline.replace("_dice", " Dice")
    assert value.startswith(f"{top:.3f}")


def test_a_note_is_there_if_and_only_if_it_holds(report):
    expected = set()
    if report.groups < 5:
        of_groups = f"s of {report.groups} groups:" if report.drawn == "group" else ""
        expected.add(f"The scores rest on {len(report.test_ids)} test image{of_groups}")
    for run, metrics in report.metrics.items():
        if metrics["pixel_accuracy"] <= metrics["majority_accuracy"]:
            expected.add(f"By pixel accuracy the run “{run}” learned nothing more than the majo")
        for kind, value in (("foreground", 1), ("background", 0)):
            missing = 0
            for i in report.test_ids:
                true = report.labels[i] == value
                found = read_mask(report.folder, run, i) == value
                missing += true.any() and not (true & found).any()
            if missing:
                images = f"{missing} of {len(report.test_ids)} test image"
                expected.add(f"The run “{run}” finds none of the {kind} in {images}")
        history = read_csv(report.folder / f"runs/{run}/fold0/history.csv")
        last = history.iloc[-1]
        if last["val_loss"] > max(history["val_loss"].min(), 1.5 * last["loss"]):
            expected.add(f"The run “{run}” may be overfitting: its validation loss is past its")
        falling = history["val_loss"].tolist()
        if falling[-1] == min(falling) and falling[-1] < 0.95 * min(falling[:-1]):
            expected.add(f"The run “{run}” was still improving in its last epochs: ")
        scores = read_csv(report.folder / f"runs/{run}/per_image.csv")[report.headline]
        below = scores.median() - scores
        if far := int((below > np.maximum(0.05, 3.5 * 1.4826 * below.abs().median())).sum()):
            images = f"{far} test image"
            expected.add(f"The run “{run}” does far worse in {report.headline_name} on {images}")
    validation = [label.mean() for i, label in report.labels.items() if i[0] == "v"]
    share = {"train": report.labels["t0"].mean(), "v": np.mean(validation)}
    share["t"] = np.mean([report.labels[i].mean() for i in report.test_ids])
    for role, name in (("train", "training"), ("v", "validation")):
        low, high = sorted([share[role], share["t"]])
        if high - low >= 0.02 and high >= 2 * max(low, 0.002):
            expected.add(f"The {name} images hold ")
    notes = report.texts.of("notes", "li")
    fragments = [note for note in notes if note.startswith("In the test images shown (")]
    for note in fragments:
        objects, true = map(int, re.search(r"hold (\d+) .* hold (\d+)", note).groups())
        assert objects >= max(20, 2 * true)
    rest = [note for note in notes if note not in fragments]
    assert len(rest) == len(expected)
    assert all(any(note.startswith(start) for note in rest) for start in expected)


def test_the_threshold_and_the_clean_up_are_explained_as_they_are(report):
    objects, *paragraphs = report.texts.of("threshold", "p")
    assert objects == (
        f"Objects are the connected parts of the {report.objects}: clean-up, lines, specks and the "
        "scores of objects and borders are those of this class. decide.objects asks for "
        f"{report.objects}."
    )
    assert len(paragraphs) == 2 * len(report.runs)
    for run, clean_up, levels in zip(report.runs, paragraphs[::2], paragraphs[1::2], strict=True):
        decision = report.decisions[run]
        sizes, cleaned = "", decision["min_object"] or decision["min_hole"]
        if decision["min_object"]:
            sizes += f"Objects smaller than {decision['min_object']} pixels are removed. "
        if decision["min_hole"]:
            sizes += f"Holes smaller than {decision['min_hole']} pixels are filled. "
        assert clean_up.startswith(sizes)
        reason, effect, numbers = clean_up.removeprefix(sizes).partition(" At this threshold it ")
        one_level = {**decision, "threshold": decision["methods"][0]["threshold"]}
        check_clean_up(reason, one_level, bool(cleaned))
        assert bool(effect) == bool(cleaned)
        if cleaned:
            found = decision["clean_up"]
            counts = [found[f"{k}_{t}"] for k in ("objects", "holes") for t in ("false", "true")]
            assert list(map(int, re.findall(r"\d+", numbers))) == counts
        _check_method(levels, decision)


def _check_method(text: str, decision: dict) -> None:
    if decision["upper"] is None:
        start = "One level: objects that touch stay together. "
    else:
        objects, threshold, upper = (decision[key] for key in ("objects", "threshold", "upper"))
        assert (upper > threshold) == (objects == "foreground")
        beyond = "above" if upper > threshold else "below"
        start = (
            f"Two levels: pixels {beyond} {threshold:.3f} are {objects}, objects grow "
            f"from seeds of at least {decision['min_seed']} pixels {beyond} {upper:.3f}, "
            "and lines separate them where they meet. "
        )
    assert text.startswith(start)
    reason = text.removeprefix(start)
    if asked := re.fullmatch(r"decide\.method asks for (\w+)\.", reason):
        assert asked[1] == decision["method"]
        return
    claim, one, two, v_one, v_two = re.fullmatch(
        rf"(.+): mean Dice ({NUMBER}) with one level \(.+\), ({NUMBER}) with two \(.+\); V-Rand by "
        rf"the quick thinning ({NUMBER}) and ({NUMBER})\.",
        reason,
    ).groups()
    one, two, v_one, v_two = map(float, (one, two, v_one, v_two))
    assert one == round(decision["methods"][0]["score"], 4)
    assert ("no better than one" in claim) == (
        decision["upper"] is None and v_two <= v_one + TINY + 1e-4
    )
    if decision["upper"] is None:
        assert "no better than one" in claim or two < one
    else:
        assert two == round(decision["score"], 4)
        assert ("that touch" in claim) == (v_two > v_one + TINY - 1e-4)
        cost = re.search(rf"cost ({NUMBER}), no more than (?:one .+, )?({NUMBER})", claim)
        assert (cost is None) == (two >= one)
        if cost:
            assert float(cost[1]) == pytest.approx(one - two, abs=1.1e-4)
            assert float(cost[1]) <= float(cost[2])


def test_the_specks_are_counted_as_they_are(report):
    run = report.runs[0]
    specks = read_json(report.folder / f"runs/{run}/specks.json")
    said = report.texts.of("specks", "p")
    if specks["false"] == 0:
        (sentence,) = said
        assert sentence.startswith(f"No specks: none of the {specks['components']} object")
        return
    kinds = {"are unsure and gone": "threshold", "are small and too": "size"}
    kinds["are too sure for a threshold, and"] = "model_or_label"
    assert len(said) == sum(count > 0 for count in specks["causes"].values())
    for place, sentence in enumerate(said):
        count, total, rest = re.fullmatch(
            r".*?(\d+) of the (\d+) false components? (.+)", sentence
        ).groups()
        cause = next(cause for start, cause in kinds.items() if rest.startswith(start))
        assert (int(count), int(total)) == (specks["causes"][cause], specks["false"])
        assert sentence.startswith("A " if place == 0 else "Beside it, ")
        if place == 0:
            assert int(count) == max(specks["causes"].values())
        _check_cause(rest, cause, specks, report.decisions[run])


def _check_cause(text: str, cause: str, specks: dict, decision: dict) -> None:
    found = specks["by_cause"][cause]
    if cause == "threshold":
        curve = decision["curve"]
        for count, kind, level in re.findall(rf"(\d+) (object|hole)s? at ({NUMBER})", text):
            assert int(count) == found[f"{kind}s"]
            nearest = np.abs(np.array(curve["threshold"]) - float(level)).argmin()
            cost = decision["score_uncleaned"] - curve["objective"][nearest]
            assert cost <= TINY + 1e-9 or "are the learned one" in text
    if cause == "size":
        if removed := re.search(r"removes (\d+) of them, and (\d+) true", text):
            assert int(removed[1]) == found["cleaned"] > 0
            assert int(removed[2]) == specks["cleaned_true"]
        else:
            assert "only a clean-up by size could remove them" in text and found["cleaned"] == 0
    if cause == "model_or_label":
        small = re.search(r"a clean-up of (\d+) of them would take (\d+) true", text)
        large = re.search(r"(\d+) have 256 pixels or more", text)
        assert (int(large[1]) if large else 0) == found["large"]
        assert (int(small[1]) if small else 0) == found["objects"] + found["holes"] - found["large"]
        assert small is None or int(small[2]) == found["true_as_small"] > 0


def test_the_calibration_is_what_the_scores_say(report):
    paragraphs = report.texts.of("calibration", "p")
    for run in report.runs:
        metrics = report.metrics[run]
        verdict, change = paragraphs.pop(0), paragraphs.pop(0)
        temperature = metrics["temperature"]
        assert ("overconfident" in verdict) == (temperature > 1.05)
        assert ("underconfident" in verdict) == (temperature < 1 / 1.05)
        assert float(re.search(rf"there is ({NUMBER})\.", verdict)[1]) == round(temperature, 2)
        lowers, *numbers = re.fullmatch(
            rf"On the test images it (lowers|does not lower) the calibration error: ({NUMBER}) "
            rf"before, ({NUMBER}) after; the Brier score is ({NUMBER}) before and ({NUMBER}) "
            r"after\.",
            change,
        ).groups()
        before, after, *brier = map(float, numbers)
        assert (lowers == "lowers") == (after < before)
        expected = [metrics[key] for key in ("ece", "ece_calibrated", "brier", "brier_calibrated")]
        assert [before, after, *brier] == pytest.approx(expected, abs=5.1e-5)
        misses = re.search(
            rf"of (\d+) test images? by ({NUMBER}) on average and by ({NUMBER}) at most",
            paragraphs.pop(0),
        )
        table = read_csv(report.folder / f"runs/{run}/per_image.csv")
        errors = (table["expected_mean_dice"] - table["mean_dice"]).abs()
        assert int(misses[1]) == len(errors)
        assert [float(misses[2]), float(misses[3])] == pytest.approx(
            [errors.mean(), errors.max()], abs=5.1e-4
        )
    assert not paragraphs


def test_the_verdicts_are_what_the_scores_say(report):
    pairs = read_csv(report.folder / "comparison_pairs.csv")
    pairs = pairs[pairs["score"] == report.headline]
    verdicts = report.texts.of("comparison", "li")
    score = report.headline.replace("_dice", " Dice")
    for sentence, pair in zip(verdicts, pairs.itertuples(), strict=True):
        first, second = (report.metrics[run][report.headline] for run in (pair.run, pair.other))
        assert f"“{pair.run}”" in sentence and f"“{pair.other}”" in sentence and score in sentence
        gain = re.search(rf" by ({NUMBER}) in {score}", sentence)
        if gain is None:
            assert first == second
            assert ("no difference" in sentence) == (pair.low == pair.high == 0)
            continue
        assert 0 < float(gain[1]) == pytest.approx(first - second, abs=5.1e-5)
        better = sentence.startswith(f"“{pair.run}” is better than “{pair.other}”")
        assert better == (report.groups >= 6 and pair.low > 0)
        if report.groups < 6:
            assert f"{len(report.test_ids)} test image" in sentence and "cannot show" in sentence
        else:
            low, high = (
                float(text.replace("−", "-"))
                for text in re.search(r"interval (\S+) to (\S+);", sentence).groups()
            )
            assert better == (low > 0) and low <= high
            assert better or "no clear difference" in sentence


def test_the_examples_are_the_best_and_the_worst(report):
    table = read_csv(report.folder / f"runs/{report.runs[0]}/per_image.csv").set_index("id")
    scores = table[report.headline].dropna()
    for heading in report.texts.of("examples", "h3"):
        verdict, image_id = heading.split(": ")
        if verdict == "Only":
            assert len(table) == 1
        elif verdict == "Example":
            assert scores.nunique() < 2
        elif verdict == "Best":
            assert scores[image_id] >= scores.nlargest(2).iloc[-1]
        else:
            assert verdict == "Worst" and scores[image_id] <= scores.nsmallest(2).iloc[-1]


# --- the first screen ---------------------------------------------------------------------------


def test_what_was_trained_is_what_the_files_say(report):
    (said,) = report.texts.of("lead", "p", "note trained")
    validation = sum(i[0] == "v" for i in report.labels)
    assert said == (
        f"Trained on 1 image of in, with {validation} more for validation: Unet with the encoder "
        "resnet18, 6 epochs, 6.0\u00a0s on CPU. The masks of the test images are in "
        f"runs/{report.runs[0]}/masks, beside this page."
    )
    (article,) = report.texts.of("methods", "p", "note copy")
    decision, images = report.decisions[report.runs[0]], len(report.test_ids)
    seeds = f", and {decision['upper']:.3f} for the seeds of objects" if decision["upper"] else ""
    for part in (
        "was trained on 1 image for 6 epochs of 10 steps, with batches of 4 patches of 32 × 32 "
        "pixels and the loss dice. Patches were changed at random: flips. ",
        f"the threshold ({decision['threshold']:.3f}{seeds}) and the smallest sizes (objects "
        f"{decision['min_object']}, holes {decision['min_hole']} pixels) were chosen on ",
        f" {images} test image{'' if images == 1 else 's'} chose no setting of the run",
        f" Intervals are 95 % bootstrap intervals over the {report.resampled}.",
    ):
        assert part in article
    several = f", but of {len(report.runs)} runs it is the one with the highest "
    assert (several in article) == (len(report.runs) > 1)


def test_the_numbers_at_the_top_are_those_of_the_scores(report):
    metrics, keys = report.metrics[report.runs[0]], {text: key for key, text in HEADINGS.items()}
    *tiles, last = zip(report.texts.of("lead", "dt"), report.texts.of("lead", "dd"), strict=True)
    for heading, text in tiles:
        key = keys[heading]
        low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
        remark = "too few images for an interval"
        if metrics[key] is None:
            remark = "not defined for these images"
        elif low is not None:
            remark = f"95 %: {low:.3f} to {high:.3f}"
        value = "–" if metrics[key] is None else f"{metrics[key]:.3f}"
        assert text.replace("\u00a0", " ") == f"{value}{remark}"
    accuracy, majority = (metrics[f"{kind}_accuracy"] for kind in ("pixel", "majority"))
    assert last[0] == "pixel accuracy"
    assert last[1] == f"{100 * accuracy:.1f}\u00a0%majority: {100 * majority:.1f}\u00a0%"


def test_the_scores_that_count_have_reasons_that_hold(report):
    (said,) = report.texts.of("lead", "p", "note why")
    decision, value = report.decisions[report.runs[0]], report.objects == "foreground"
    labels = [np.pad(report.labels[i] == value, 1, mode="edge") for i in report.test_ids]
    inside = sum(int(label[1:-1, 1:-1].sum()) for label in labels)
    sides = [[(0, 1), (1, 1)], [(2, 1), (1, 1)], [(1, 0), (1, 1)], [(1, 2), (1, 1)]]
    border = 0
    for label in labels:
        height, width = (side - 2 for side in label.shape)
        alike = np.ones((height, width), bool)
        for (row, column), _ in sides:
            alike &= label[row : row + height, column : column + width]
        border += int((label[1:-1, 1:-1] & ~alike).sum())
    counts = [ndimage.label(label[1:-1, 1:-1])[1] for label in labels]
    wide = 2 * inside / border if border else np.inf
    expected = [
        f"{report.headline_name}, because "
        + (
            "foreground is rare, and scores with the background in them say little"
            if report.headline == "foreground_dice"
            else "foreground and background both count"
        )
    ]
    end = "and it falls where two are merged or one is split"
    if decision["upper"] is not None:
        expected.append(f"V-Rand, because a second level separates objects, {end}")
    elif report.objects == "background":
        expected.append(f"V-Rand, because objects are the background, {end}")
    if wide <= 12 and inside / (sum(counts) * wide) > 10 * wide:
        expected.append(
            f"{report.objects} clDice, because objects are thin, about {wide:.0f} pixels wide, and "
            "it falls where one is broken"
        )
    elif len(expected) == 1 and np.median(counts) >= 2:
        expected.append("object F1, because it counts the objects that are found, not the pixels")
    assert said.startswith(f"What counts here: {'; and '.join(expected)}. The 95 % interval ")


def test_the_images_to_look_at_first_are_the_worst_with_reasons_that_hold(report):
    run = report.runs[0]
    table = read_csv(report.folder / f"runs/{run}/per_image.csv").set_index("id")
    shown = report.texts.of("lead", "li", "worst")
    pattern = rf"(\w+), {report.headline_name} ({NUMBER}|–)(?:; (.+))?"
    found = [re.fullmatch(pattern, text).groups() for text in shown]
    scores = table[report.headline].sort_values(na_position="last")
    assert len(found) == min(3, len(scores))
    below = scores.median() - scores
    far = below > np.maximum(0.05, 3.5 * 1.4826 * below.abs().median())
    for place, (image_id, score, reasons) in enumerate(found):
        assert score == ("–" if np.isnan(scores.iloc[place]) else f"{scores.iloc[place]:.3f}")
        label, mask = report.labels[image_id] == 1, read_mask(report.folder, run, image_id)
        assert score == ("–" if np.isnan(scores[image_id]) else f"{scores[image_id]:.3f}")
        if report.objects == "foreground":
            true, pieces = ndimage.label(label)[1], ndimage.label(mask)[1]
        else:
            true, pieces = ndimage.label(~label)[1], ndimage.label(~mask)[1]
        sure = table["expected_mean_dice"][image_id] - table["mean_dice"][image_id] > 0.1
        expected = {
            "none of the foreground is found": label.any() and not (label & mask).any(),
            "foreground where the label has none": mask.any() and not label.any(),
            f"{report.headline_name} far below the others": far[image_id],
            "the network was sure and wrong": sure,
            f"{pieces} objects where the label has {true}": pieces >= max(2 * true, true + 5),
        }
        assert reasons == ("; ".join(text for text, holds in expected.items() if holds) or None)


# --- the other sections -------------------------------------------------------------------------


def test_the_scores_of_the_examples_are_those_of_their_masks(report):
    names = [heading.split(": ")[1] for heading in report.texts.of("examples", "h3")]
    about, *notes = report.texts.of("examples", "p", "note")
    mean = " (the mean of foreground and background Dice)" if "mean" in report.headline else ""
    run = report.runs[0]
    assert about.startswith(f"Of the run {run}, by {report.headline_name}{mean}. ")
    for image_id, note in zip(names, notes, strict=True):
        pair = read_mask(report.folder, run, image_id), report.labels[image_id]
        scores = pixel_scores(confusion(*pair))
        dice = (scores[f"{kind}_dice"] for kind in ("foreground", "background"))
        dice = ["–" if np.isnan(value) else f"{value:.3f}" for value in dice]
        assert note == (
            f"Dice {dice[0]} for the foreground, {dice[1]} for the background; pixel accuracy "
            f"{100 * scores['pixel_accuracy']:.1f}\u00a0%."
        )


def of_several_runs(report) -> str:
    return (
        f" Of the {len(report.runs)} runs the best one was chosen by its score on the test images, "
        "so on new images it may do a little worse."
    )


def test_what_depends_on_the_number_of_images_and_runs_is_said_when_it_holds(report):
    (note,) = report.texts.of("scores", "p", "note")
    several = len(report.runs) > 1
    first = f"The run with the highest {report.headline_name} comes first. "
    assert note.startswith(first) == several
    assert ("; the best value of a row is highlighted" in note) == several
    assert f"(bootstrap over the {report.resampled})." in note
    few = f"With fewer than six {report.drawn}s it says little"
    assert (few in note) == (report.groups < 6)
    count = len(report.test_ids)
    (said,) = [text for text in report.texts.of("images", "p", "note") if " first." in text]
    assert said == (
        f"{count} test image{'' if count == 1 else 's'}, the lowest {report.headline_name} first."
    )
    texts = [" ".join(text.split()) for *_, text in report.texts.found]
    (said,) = [text for text in texts if text.startswith("What is guaranteed. ")]
    assert (of_several_runs(report) in said) == several
    headings = report.texts.of("threshold", "h3")
    levels = [f"{run}: threshold {report.decisions[run]['threshold']:.3f}" for run in report.runs]
    assert headings == levels
    meaning = report.texts.of("scores", "dd")[1]
    assert meaning == f"A connected part of the {report.objects}, and of the other class."


def test_the_facts_of_a_training_are_those_of_its_files(report):
    values = report.texts.of("training", "dd")
    names = report.texts.of("training", "dt")
    each = len(names) // len(report.runs)
    for place, run in enumerate(report.runs):
        history = read_csv(report.folder / f"runs/{run}/fold0/history.csv")["val_loss"]
        facts = (
            dict(zip(names, values, strict=False))
            if place == 0
            else dict(zip(names[place * each :], values[place * each :], strict=True))
        )
        assert facts["best epoch"] == str(history.idxmin() + 1)
        assert facts["best validation loss"] == f"{history.min():.3f}"
        assert (facts["epochs"], facts["device"]) == ("6", "CPU, 2 processors")


# Read above; every other text of the page has to be the same for all results.
CHECKED = {
    ("lead", "p", "lead"), ("lead", "p", "note trained"), ("lead", "p", "note why"),
    ("lead", "dt", None), ("lead", "dd", None), ("lead", "li", "worst"), ("notes", "li", None),
    ("examples", "h3", None), ("examples", "p", "note"), ("scores", "p", "note"),
    ("threshold", "h3", None), ("threshold", "p", None), ("specks", "p", None),
    ("calibration", "p", None), ("training", "dd", None), ("comparison", "li", None),
    ("methods", "p", "note copy"),
}  # fmt: skip
SAME: dict[tuple, set[str]] = {}


def test_no_other_sentence_depends_on_the_results(report):
    """Names of runs and classes, and which sections there are, apart."""
    (count,) = {len(report.test_ids)}
    found: dict[tuple, set[str]] = {}
    for section, tag, kind, text in report.texts.found:
        if (section, tag, kind) in CHECKED or (section, tag) == ("lead", "li"):
            continue
        text = " ".join(text.split()).replace(f"the run {report.runs[0]}", "the run R")
        text = text.replace(of_several_runs(report), "")
        if text in report.runs or text.startswith(f"{count} test image"):
            continue
        text = text.replace(f"part of the {report.objects}", "part of the O")
        found.setdefault((section, tag, kind), set()).add(text)
    for kind, texts in found.items():
        assert SAME.setdefault(kind, texts) == texts
