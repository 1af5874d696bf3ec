"""How the first screen and the methods paragraph say what was trained."""

from types import SimpleNamespace

import pandas as pd
import pytest

from maskmake.report.methods import methods_paragraph
from maskmake.report.verdict import training_sentence

SETTINGS = {"architecture": "Unet", "encoder": "resnet18", "backend": "tensorflow", "loss": "dice"}
SETTINGS |= {"steps": 5, "batch": 2, "patch": 64}
TABLE = pd.DataFrame({"role": ["train", "train", "validation", "test"]})
CONFIG = {"dataset": {"images": "here"}, "predict": {"tta": False}}


def a_run(folds, **changes):
    """The best run, with a network for each of some numbers of folds."""
    trainings = [
        {"fold": fold, "settings": SETTINGS | changes, "seconds": 1.0, "device": "CPU",
         "parameters": 1e6, "versions": {}}
        for fold in folds
    ]  # fmt: skip
    decision = {"threshold": 0.5, "upper": None, "min_object": 0, "min_hole": 0}
    histories = [pd.DataFrame({"epoch": [1, 2]})] * len(folds)
    return SimpleNamespace(trainings=trainings, decision=decision, histories=histories)


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
    assert (mean in methods_paragraph(run, TABLE, CONFIG)) == (len(folds) > 1)


def test_the_loss_is_named_whole():
    told = methods_paragraph(a_run([0], neighbour_loss=0.5), TABLE, CONFIG)
    assert "the loss dice and 0.5 times that of the worst neighbours." in told
    assert "the loss dice." in methods_paragraph(a_run([0]), TABLE, CONFIG)
