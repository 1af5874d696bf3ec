"""All runs of a data set side by side, and which of two is better."""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.tables import check_columns, damaged
from maskmake.runtime.files import read_csv, read_json
from maskmake.scores.bootstrap import (
    MIN_IMAGES_FOR_VERDICT,
    RESAMPLES,
    interval,
    resampled_means,
    resampling_weights,
)
from maskmake.scores.scorecard import HIGHER_IS_BETTER, SCORES, headline_score

PAIR_COLUMNS = ["run", "other", "score", "difference", "low", "high", "share", "images", "verdict"]

NO_DIFFERENCE = "no difference"
UNCLEAR = "no clear difference"
TOO_FEW = "too few images"


class ScoredRun(NamedTuple):
    """What ``evaluate`` wrote for a run: ``metrics.json``, ``per_image.csv``, ``resamples.csv``."""

    metrics: dict
    per_image: pd.DataFrame
    resamples: pd.DataFrame


class Comparison(NamedTuple):
    """Contents of ``comparison.csv`` (see ``rank_runs``) and of ``comparison_pairs.csv``."""

    table: pd.DataFrame
    pairs: pd.DataFrame


def read_scored_run(metrics: str, per_image: str, resamples: str) -> ScoredRun:
    """Read the three files of a run.

    Raises:
        UserError: a file is damaged, or the three are not of one evaluation.
    """
    run = ScoredRun(read_json(metrics), read_csv(per_image), read_csv(resamples))
    check_columns(per_image, run.per_image, ["id"], "evaluate")
    for path, table, rows in (
        (per_image, run.per_image, run.metrics["images"]),
        (resamples, run.resamples, RESAMPLES),
    ):
        if len(table) != rows:
            raise damaged(path, f"{len(table)} rows instead of {rows}", "evaluate")
    return run


def compare_runs(runs: Mapping[str, ScoredRun]) -> Comparison:
    """Rank runs and compare each two of them.

    Args:
        runs: at least one, all scored on the same images.
    """
    table = rank_runs({name: run.metrics for name, run in runs.items()})
    return Comparison(table, compare_pairs({name: runs[name] for name in table["run"]}))


def rank_runs(metrics: Mapping[str, dict]) -> pd.DataFrame:
    """One row a run, the highest ``headline_score`` first.

    Args:
        metrics: contents of ``metrics.json`` of each run, all of the same test images.

    Returns:
        Column run, then the keys of ``metrics.json``.
    """
    table = pd.DataFrame([{"run": run, **scores} for run, scores in metrics.items()])
    headline = table[headline_score(next(iter(metrics.values())))].astype(float)
    order = headline.sort_values(ascending=False, kind="stable", na_position="last").index
    return table.loc[order]


def compare_pairs(runs: Mapping[str, ScoredRun]) -> pd.DataFrame:
    """Paired bootstrap over images, for every two runs and every score with a better direction.

    Both runs are scored on the same draws of images (Koehn, "Statistical significance tests for
    machine translation evaluation", EMNLP 2004), so what makes an image hard for both
    cancels out. A score that is a mean over images is compared on the images where both have it.

    Args:
        runs: at least one, in the order of ``rank_runs``, all scored on the same images.

    Returns:
        run, other: names, the one that comes first in ``runs`` first.
        score: a key of ``metrics.json``.
        difference: score of ``run`` minus that of ``other``; low, high: its interval.
        share: of the resamples in which ``run`` is better; ties count half.
        images: on which both have the score.
        verdict: "<name> is better" if the interval leaves out 0; else "no clear difference"; "no
            difference" if no resample has any; "too few images" if there are fewer than 6.
        A difference of undefined scores is NaN, as are low, high and share then.

    Raises:
        ValueError: the runs were scored on different images.
    """
    ids = [run.per_image["id"].tolist() for run in runs.values()]
    if any(each != ids[0] for each in ids):
        raise ValueError("the runs were scored on different images")
    weights = resampling_weights(len(ids[0]))
    rows = [
        {"run": run, "other": other, "score": score}
        | _difference(score, runs[run], runs[other], weights)
        for run, other in combinations(runs, 2)
        for score in SCORES
        if HIGHER_IS_BETTER[score] is not None
    ]
    for row in rows:
        row["verdict"] = _verdict(row)
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def _difference(score: str, run: ScoredRun, other: ScoredRun, weights: np.ndarray) -> dict:
    image_differences = (run.per_image[score] - other.per_image[score]).to_numpy(float)
    images = int(np.count_nonzero(~np.isnan(image_differences)))
    if score in run.resamples:
        difference = _number(run.metrics[score]) - _number(other.metrics[score])
        resampled = (run.resamples[score] - other.resamples[score]).to_numpy(float)
        images = 0 if np.isnan(difference) else len(image_differences)
    else:
        difference = image_differences[~np.isnan(image_differences)].mean() if images else np.nan
        resampled = resampled_means(image_differences[:, np.newaxis], weights)[:, 0]
    low, high = interval(resampled, images)
    gains = resampled[~np.isnan(resampled)] * (1 if HIGHER_IS_BETTER[score] else -1)
    share = np.mean((gains > 0) + 0.5 * (gains == 0)) if images else np.nan
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "share": share,
        "images": images,
        "differs": gains.any(),
    }


def _number(value: float | None) -> float:
    """A score of ``metrics.json``, where NaN is null."""
    return np.nan if value is None else value


def _verdict(row: dict) -> str:
    if row["images"] and not row["differs"]:
        return NO_DIFFERENCE
    if row["images"] < MIN_IMAGES_FOR_VERDICT:
        return TOO_FEW
    if row["low"] > 0 or row["high"] < 0:
        return f"{row['run'] if row['share'] > 0.5 else row['other']} is better"
    return UNCLEAR
