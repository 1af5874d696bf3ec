"""How the first screen and the methods paragraph say what was trained."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from constructed import SOURCES

from maskmake.network.settings import AUGMENTATION_PRESETS
from maskmake.report.methods import RELEASED, citations, methods_paragraph
from maskmake.report.verdict import Counting, headline_scores, training_sentence

SETTINGS = {"architecture": "Unet", "encoder": "resnet18", "backend": "tensorflow", "loss": "dice"}
SETTINGS |= {"steps": 5, "batch": 2, "patch": 64}
TABLE = pd.DataFrame({"role": ["train", "train", "validation", "test"]})
CONFIG = {"dataset": SOURCES | {"images": "here"}, "predict": {"tta": False}}


def a_run(folds, **changes):
    """The best run, with a network for each of some numbers of folds."""
    trainings = [
        {"fold": fold, "settings": SETTINGS | changes, "seconds": 1.0, "device": "CPU",
         "parameters": 1e6, "versions": {}}
        for fold in folds
    ]  # fmt: skip
    decision = {"threshold": 0.5, "upper": None, "min_object": 0, "min_hole": 0}
    histories = [pd.DataFrame({"epoch": [1, 2]})] * len(folds)
    per_image = pd.DataFrame({"id": ["a", "b"], "group": ["a", "b"]})
    return SimpleNamespace(
        trainings=trainings, decision=decision, histories=histories, per_image=per_image
    )


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ([0], ""),
        ([0, 1, 2], " in 3 folds"),
        ([0, 0], " with 2 seeds"),
        ([0, 1, 0, 1], " in 2 folds with 2 seeds"),
    ],
)
def test_folds_and_seeds_are_not_taken_for_each_other(folds, words):
    run = a_run(folds)
    assert training_sentence(run, TABLE, CONFIG).startswith(f"Trained{words} on 2 images of here")
    mean = f" Logits are means over {len(folds)} networks, trained{words}."
    assert (mean in methods_paragraph(run, TABLE, CONFIG, 1)) == (len(folds) > 1)


def test_the_loss_is_named_whole():
    told = methods_paragraph(a_run([0], deep_supervision=True), TABLE, CONFIG, 1)
    assert "the loss dice with deep supervision." in told
    assert "the loss dice." in methods_paragraph(a_run([0]), TABLE, CONFIG, 1)


@pytest.mark.parametrize(
    ("dataset", "place"),
    [
        ({"images": "data/cells"}, "data/cells"),
        ({"table": "data/pairs.csv"}, "data/pairs.csv"),
        ({"synthesis": {"images": 4, "kind": "cracks"}}, "synthetic cracks"),
        ({"download": {"url": "https://a.org/set/"}}, "https://a.org/set/image"),
        ({"storage": {"images": "s3://a/b", "labels": "s3://a/c"}}, "s3://a/b"),
        (
            {
                "storage": {
                    "images": ["s3://a/1", {"address": "s3://a/2", "sha256": "0" * 64}],
                    "labels": [],
                }
            },
            "s3://a/1 and 1 more",
        ),
    ],
)
def test_the_place_of_the_images_is_named_whatever_it_is(dataset, place):
    told = training_sentence(a_run([0]), TABLE, CONFIG | {"dataset": SOURCES | dataset})
    assert told.startswith(f"Trained on 2 images of {place}, with 1 more for validation: ")


@pytest.mark.parametrize(
    ("value", "ends", "remark"),
    [
        (float("nan"), (float("nan"), float("nan")), "not defined for these images"),
        (None, (None, None), "not defined for these images"),
        (0.5, (None, None), "too few images for an interval"),
        (0.5, (0.4, 0.6), "95 %: 0.400 to 0.600"),
    ],
)
def test_a_score_without_a_value_is_undefined_not_short_of_images(value, ends, remark):
    metrics = {"v_rand": value, "v_rand_low": ends[0], "v_rand_high": ends[1], "images": 40}
    metrics |= {"pixel_accuracy": 0.9, "majority_accuracy": 0.8}
    tiles = headline_scores(SimpleNamespace(metrics=metrics), [Counting("v_rand", "a reason")])
    assert tiles[0][2] == remark


TRAINED = {
    "encoder_weights": "imagenet",
    "optimizer": "adamw",
    "learning_rate": 0.0005,
    "schedule": "cosine",
    "augmentation": asdict(AUGMENTATION_PRESETS["default"]),
    "seed": 7,
}


def test_the_paragraph_has_all_that_a_training_can_be_repeated_with():
    told = methods_paragraph(a_run([0], **TRAINED), TABLE, CONFIG, 1)
    assert "with the encoder resnet18 (ImageNet weights, 1.0 million parameters)" in told
    assert "by adamw with the learning rate 0.0005 (schedule cosine) from seed 7." in told
    assert (
        "Patches were changed at random: flips, quarter turns, rotation, zoom, noise, blur, gain, "
        "contrast, lower resolution, gamma." in told
    )


def test_the_paragraph_of_random_weights_several_seeds_and_no_augmentation():
    none = asdict(AUGMENTATION_PRESETS["none"])
    run = a_run([0, 0], **TRAINED | {"encoder_weights": None, "augmentation": none})
    run.trainings[1]["settings"] = run.trainings[1]["settings"] | {"seed": 9}
    told = methods_paragraph(run, TABLE, CONFIG, 1)
    assert "(random weights, 1.0 million parameters)" in told and "from seeds 7 and 9." in told
    assert "changed at random" not in told


def test_networks_of_other_lengths_are_named_with_both():
    run = a_run([0, 1])
    run.histories[1] = pd.DataFrame({"epoch": [1, 2, 3]})
    run.trainings[1]["settings"] = SETTINGS | {"steps": 8}
    assert "for 2 to 3 epochs of 5 to 8 steps, with" in methods_paragraph(run, TABLE, CONFIG, 1)
    assert ": Unet with the encoder resnet18, 2 to 3 epochs, " in training_sentence(
        run, TABLE, CONFIG
    )


def test_the_best_of_several_runs_was_chosen_by_the_test_images():
    run = a_run([0])
    run.metrics = {"foreground": 0.3, "mean_dice": 0.9}
    alone, of_three = (methods_paragraph(run, TABLE, CONFIG, runs) for runs in (1, 3))
    assert " 1 test image chose no setting of the run. Intervals are" in alone
    assert (
        " 1 test image chose no setting of the run, but of 3 runs it is the one with the highest "
        "mean Dice on them, so its scores may be a little too high. Intervals are" in of_three
    )


def test_what_is_cited_has_the_version_the_year_and_the_libraries():
    run = a_run([0])
    run.trainings[0]["versions"] = {"maskmake": "0.2.0", "keras": "3.15.1"}
    first, *others = citations(run)
    assert first.startswith("The maskmake developers. maskmake 0.2.0: ")
    assert first.endswith(f", {RELEASED}.")
    for name in ("U-Net: convolutional", "Segmentation Models", "Keras", "Snakemake"):
        assert sum(name in other for other in others) == 1
    cff = yaml.safe_load((Path(__file__).parents[3] / "CITATION.cff").read_text())
    assert cff["date-released"].year == RELEASED
