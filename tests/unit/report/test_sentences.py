"""Every sentence of the report against the numbers of the files, for constructed results.

Each sentence that depends on results has to match one of the patterns here or, if it is on the
first screen, in ``test_first_screen.py``. They say what it claims; so a new one has to be added.
"""

import re

import numpy as np
import pytest
from constructed import read_mask
from reasons import NUMBER, check_clean_up

from maskmake.masks.objectives import TINY
from maskmake.runtime.files import read_csv, read_json
from maskmake.scores.pixels import confusion, pixel_scores

pytestmark = pytest.mark.long


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


# Read above and in test_first_screen.py. Every other text has to be the same for all results.
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
