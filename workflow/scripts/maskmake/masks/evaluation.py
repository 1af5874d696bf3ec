"""The scores of a run on its test images: the contents of ``metrics.json`` and its tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from maskmake.data.pixel_store import PixelStore
from maskmake.data.splits import check_classes
from maskmake.masks.decision import (
    Decision,
    LearnedDecision,
    apply_decision,
    decision_contents,
    stored_decision,
)
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.mask_files import MaskFolder
from maskmake.network.settings import TrainingRecord
from maskmake.runtime.progress import tracked
from maskmake.scores.calibration import assess_calibration
from maskmake.scores.cases import Case
from maskmake.scores.pixels import PIXEL_SCORES, Confusion, confusion, pixel_scores
from maskmake.scores.scorecard import SCORES, headline_score, score_card


@dataclass(frozen=True)
class Metrics:
    """The numbers of ``metrics.json``.

    Attributes:
        images: how many were scored.
        foreground: share of their labelled pixels.
        decision: the one that made the masks.
        temperature: of the calibration.
        scores: ``ScoreCard.scores``.
        seconds_train, seconds_predict: of all folds together.
        intervals: ``ScoreCard.intervals``.
        networks: see ``score_networks``.
    """

    images: int
    foreground: float
    decision: Decision
    temperature: float
    scores: dict[str, float]
    seconds_train: float
    seconds_predict: float
    intervals: dict[str, float]
    networks: pd.DataFrame

    def contents(self) -> dict[str, str | float | None]:
        """One flat object with decision and scores; its keys become the columns of tables.

        With several networks it also has the lowest and the highest score that counts of one of
        them by itself.
        """
        contents: dict[str, str | float | None] = {
            "images": self.images,
            "foreground": self.foreground,
            **cast(dict[str, str | float | None], decision_contents(self.decision)),
            "temperature": self.temperature,
            **self.scores,
            "seconds_train": self.seconds_train,
            "seconds_predict": self.seconds_predict,
            **self.intervals,
        }
        if len(self.networks) > 1:
            scores = self.networks[headline_score(contents)]
            contents |= {"network_low": float(scores.min()), "network_high": float(scores.max())}
        return contents


class Evaluation(NamedTuple):
    """The results of ``evaluate_run``.

    Attributes:
        metrics: ``Metrics.contents`` are those of ``metrics.json``.
        per_image: ``ScoreCard.per_image``, and the columns ``calibration.EXPECTED``.
        resamples: ``ScoreCard.resamples``.
        reliability: see ``calibration.reliability``.
    """

    metrics: Metrics
    per_image: pd.DataFrame
    resamples: pd.DataFrame
    reliability: pd.DataFrame


def describe(evaluation: Evaluation) -> str:
    """The score that counts, with its interval and the worst image, in one line."""
    metrics = evaluation.metrics.contents()
    score = headline_score(metrics)
    line = f"{score.replace('_dice', ' Dice')} {metrics[score]:.3f}"
    low, high = (metrics[f"{score}_{end}"] for end in ("low", "high"))
    if pd.notna(low):  # one group alone has no interval
        line += f" ({low:.3f} to {high:.3f})"
    if "network_low" in metrics:
        line += f", one network by itself {metrics['network_low']:.3f} to "
        line += f"{metrics['network_high']:.3f},"
    line += f" on {metrics['images']} test image{'s' if metrics['images'] != 1 else ''}"
    scored = evaluation.per_image.dropna(subset=[score])
    if len(scored) > 1:
        worst = scored.loc[scored[score].idxmin()]
        line += f"; the worst one, {worst['id']}: {worst[score]:.3f}"
    return line


def score_networks(
    run: RunProbabilities,
    labels: PixelStore,
    decision: Decision,
    temperature: float,
    scores: Mapping[str, float],
) -> pd.DataFrame:
    """The scores of each network by itself, with the decision of the run.

    How far they lie apart is how far another seed, or other training images, move a score.

    Args:
        run: its probabilities.
        labels: of the data set.
        decision: what makes the masks.
        temperature: of the calibration.
        scores: of the run, which are those of its network if there is only one.

    Returns:
        Columns network (its number), fold, repetition (0 for the first seed, 1 for the next one),
        and the scores of all test images: ``SCORES``, by which recipes are compared, where there
        are several seeds, and otherwise ``PIXEL_SCORES``.
    """
    repetitions = [run.folds[:number].count(fold) for number, fold in enumerate(run.folds)]
    several_seeds = max(repetitions) > 0
    rows: list[dict[str, float]] = []
    for number, fold in enumerate(run.folds):
        own = scores
        if len(run.folds) > 1:
            own = _scores_of_network(run, number, labels, decision, temperature, several_seeds)
        rows.append({"network": number, "fold": fold, "repetition": repetitions[number], **own})
    names = SCORES if several_seeds else PIXEL_SCORES
    return pd.DataFrame(rows)[["network", "fold", "repetition", *names]]


def _scores_of_network(
    run: RunProbabilities,
    number: int,
    labels: PixelStore,
    decision: Decision,
    temperature: float,
    several_seeds: bool,
) -> Mapping[str, float]:
    """All scores of one network where there are several seeds, else those of its pixels."""

    def masks() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for i in run.test_ids:
            probability = run.test_of_network(number, i)
            yield i, probability, apply_decision(probability, decision)

    if several_seeds:
        cases = (Case(i, labels[i], probability, mask) for i, probability, mask in masks())
        return score_card(cases, temperature, decision.objects).scores
    counts = (confusion(mask, labels[i]) for i, _, mask in masks())
    pooled = pixel_scores(sum(counts, Confusion()))
    return {name: float(value) for name, value in pooled.items()}


def evaluate_run(
    run: RunProbabilities,
    labels: PixelStore,
    masks: Mapping[str, np.ndarray] | MaskFolder,
    learned: LearnedDecision,
    groups: Mapping[str, str],
    trainings: Iterable[TrainingRecord],
    predictions: Iterable[pd.DataFrame],
) -> Evaluation:
    """Score the masks of the test images of a run.

    Args:
        run: its probabilities.
        labels: of the data set.
        masks: of each test image, (H, W) bool.
        learned: contents of ``decision.json``.
        groups: by id, the group of each image, from ``manifest.csv``.
        trainings: contents of ``training.json`` of each fold.
        predictions: Snakemake's benchmark of the prediction of each fold; the seconds are in ``s``.

    Raises:
        UserError: the labels of the test images have one class alone.
    """
    background, foreground = (
        sum(int(np.count_nonzero(labels[i] == value)) for i in run.test_ids) for value in (0, 1)
    )
    check_classes("test", background, foreground)

    def cases() -> Iterator[Case]:
        for i in tracked(run.test_ids, "scored", len(run.test_ids)):
            yield Case(i, labels[i], run.test(i), masks[i])

    decision = stored_decision(learned)
    card = score_card(cases(), learned["temperature"], decision.objects, groups)
    reliability, expected = assess_calibration(cases(), learned["temperature"])
    metrics = Metrics(
        images=len(run.test_ids),
        foreground=foreground / (background + foreground),
        decision=decision,
        temperature=learned["temperature"],
        scores=card.scores,
        seconds_train=sum(training["seconds"] for training in trainings),
        seconds_predict=pd.concat(predictions)["s"].sum(),
        intervals=card.intervals,
        networks=score_networks(run, labels, decision, learned["temperature"], card.scores),
    )
    per_image = card.per_image.merge(expected, on="id")
    return Evaluation(metrics, per_image, card.resamples, reliability)
