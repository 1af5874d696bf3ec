"""The scores of a run on its test images: the contents of ``metrics.json`` and its tables."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.arrays import PixelStore
from maskmake.calibration import assess_calibration
from maskmake.images import read_pixels
from maskmake.predictions import RunProbabilities
from maskmake.scorecard import score_card

# What metrics.json repeats of decision.json.
DECISION_KEYS = (
    "method",
    "threshold",
    "upper",
    "min_seed",
    "min_object",
    "min_hole",
    "temperature",
)


class Evaluation(NamedTuple):
    """The results of ``evaluate_run``.

    Attributes:
        metrics: contents of ``metrics.json``: images (how many), ``DECISION_KEYS``, the scores of
            ``ScoreCard.scores``, seconds_train and seconds_predict (of all folds together), and the
            ends of the intervals.
        per_image: ``ScoreCard.per_image``, and the columns ``calibration.EXPECTED``.
        resamples: ``ScoreCard.resamples``.
        reliability: see ``calibration.reliability``.
    """

    metrics: dict
    per_image: pd.DataFrame
    resamples: pd.DataFrame
    reliability: pd.DataFrame


def evaluate_run(
    run: RunProbabilities,
    labels: PixelStore,
    masks: str | Path,
    decision: dict,
    trainings: Iterable[dict],
    predictions: Iterable[pd.DataFrame],
) -> Evaluation:
    """Score the masks of the test images of a run.

    Args:
        run: its probabilities.
        labels: of the data set.
        masks: folder with the mask of each test image, ``<id>.png``, foreground above 0.
        decision: contents of ``decision.json``.
        trainings: contents of ``training.json`` of each fold.
        predictions: Snakemake's benchmark of the prediction of each fold; the seconds are in ``s``.
    """

    def cases() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
        for i in run.test_ids:
            yield i, read_pixels(Path(masks, f"{i}.png")) > 0, labels[i], run.test(i)

    card = score_card(cases(), decision["temperature"])
    reliability, expected = assess_calibration(cases(), decision["temperature"])
    metrics = {
        "images": len(run.test_ids),
        **{key: decision[key] for key in DECISION_KEYS},
        **card.scores,
        "seconds_train": sum(training["seconds"] for training in trainings),
        "seconds_predict": pd.concat(predictions)["s"].sum(),
        **card.intervals,
    }
    per_image = card.per_image.merge(expected, on="id")
    return Evaluation(metrics, per_image, card.resamples, reliability)
