"""What the scores, the losses and the masks of runs say, in plain words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from maskmake.glossary import counted, number, percent
from maskmake.results import Run

# Numbers from which a note says something.
FEW_TEST_IMAGES = 5

LARGE_LOSS_RATIO = 1.5

ENOUGH_EPOCHS = 5

MANY_COMPONENTS_RATIO = 2

MANY_COMPONENTS = 20


def result_sentence(best: Run, table: pd.DataFrame) -> str:
    """The result of the best run in words.

    Args:
        best: the run.
        table: the manifest with roles; its test images tell which class is the more common.
    """
    metrics = best.metrics
    test = table[table["role"] == "test"]
    share = np.average(test["foreground"], weights=test["height"] * test["width"])
    majority = "foreground" if share >= 0.5 else "background"
    return (
        f"On {counted(metrics['images'], 'held-out image')} the run “{best.name}” labels "
        f"{percent(metrics['pixel_accuracy'])} of the pixels right (calling everything "
        f"“{majority}” would give {percent(metrics['majority_accuracy'])}); its Dice is "
        f"{number(metrics['foreground_dice'], 3)} for the foreground and "
        f"{number(metrics['background_dice'], 3)} for the background."
    )


def notes(runs: Mapping[str, Run], table: pd.DataFrame, examples: Sequence[Mapping]) -> list[str]:
    """What the numbers say in plain words; each sentence holds whenever it is given."""
    sentences = []
    test_images = int((table["role"] == "test").sum())
    if test_images < FEW_TEST_IMAGES:
        sentences.append(
            f"The scores rest on {counted(test_images, 'test image')}: other images could give "
            "rather different ones."
        )
    for run in runs.values():
        sentences += _score_notes(run) + _loss_notes(run)
    return sentences + _component_notes(examples)


def _score_notes(run: Run) -> list[str]:
    sentences = []
    accuracy, majority = run.metrics["pixel_accuracy"], run.metrics["majority_accuracy"]
    if accuracy <= majority:
        sentences.append(
            f"By pixel accuracy the run “{run.name}” learned nothing more than the majority: "
            f"{percent(accuracy)} against {percent(majority)}."
        )
    images = counted(len(run.per_image), "test image")
    for column, kind in (("recall", "foreground"), ("background_dice", "background")):
        missing = int((run.per_image[column] == 0).sum())
        if missing:
            sentences.append(
                f"The run “{run.name}” finds none of the {kind} in {missing} of {images}."
            )
    return sentences


def _loss_notes(run: Run) -> list[str]:
    ratios = [_overfitting(history) for history in run.histories]
    if max(ratios) < LARGE_LOSS_RATIO:
        return []
    return [
        f"The run “{run.name}” may be overfitting: its validation loss is past its lowest value "
        f"and ends at {number(max(ratios), 1)} times its training loss. More training images, "
        "stronger augmentation or a smaller encoder can help."
    ]


def _overfitting(history: pd.DataFrame) -> float:
    """Last validation loss over last training loss; 0 if it says nothing about overfitting."""
    last = history.iloc[-1]
    still_falling = not last["val_loss"] > history["val_loss"].min()
    if len(history) < ENOUGH_EPOCHS or last["loss"] <= 0 or still_falling:
        return 0.0
    return last["val_loss"] / last["loss"]


def _component_notes(examples: Sequence[Mapping]) -> list[str]:
    in_labels = sum(example["label_components"] for example in examples)
    in_masks = sum(example["mask_components"] for example in examples)
    if in_masks < max(MANY_COMPONENTS_RATIO * in_labels, MANY_COMPONENTS):
        return []
    return [
        f"In the test images shown, the masks hold {counted(in_masks, 'separate object')} where "
        f"the labels hold {number(in_labels, 0)}: many are fragments or specks."
    ]
