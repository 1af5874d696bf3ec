"""The first screen of the report against the numbers of the files, for constructed results."""

import re

import numpy as np
import pytest
from constructed import read_mask
from reasons import NUMBER
from reports import percent
from scipy import ndimage

from maskmake.report.terms import HEADINGS
from maskmake.runtime.files import read_csv
from maskmake.scores.pixels import pixel_scores

pytestmark = pytest.mark.long


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
