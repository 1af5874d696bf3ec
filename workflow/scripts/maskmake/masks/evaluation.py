"""The scores of a run on its test images: the contents of ``metrics.json`` and its tables."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from maskmake.data.images import read_pixels
from maskmake.data.pixel_store import PixelStore
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.scores.calibration import assess_calibration
from maskmake.scores.cases import Case
from maskmake.scores.scorecard import score_card

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

    def cases() -> Iterator[Case]:
        for i in run.test_ids:
            yield Case(i, labels[i], run.test(i), read_pixels(Path(masks, f"{i}.png")) > 0)

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
