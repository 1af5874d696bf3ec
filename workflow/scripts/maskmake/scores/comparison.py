"""All runs of a data set side by side, and which of two recipes is better.

A recipe is one run, or several that differ in their seed alone.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.tables import check_columns, damaged
from maskmake.runtime.files import read_csv
from maskmake.scores.bootstrap import (
    MIN_GROUPS_FOR_VERDICT,
    RESAMPLES,
    interval,
    resampled_means,
    resampling_weights,
)
from maskmake.scores.metrics_file import read_metrics
from maskmake.scores.scorecard import (
    HIGHER_IS_BETTER,
    POOLED_SCORES,
    SCORES,
    headline_score,
)
from maskmake.scores.seeds import interval_with_seeds

PAIR_COLUMNS = [
    "run", "other", "score", "difference", "low", "high", "share", "images", "groups", "run_seeds",
    "other_seeds", "smallest", "verdict",
]  # fmt: skip
# Scores of which every two runs are compared: those with a better direction.
PAIRED_SCORES = [score for score in SCORES if HIGHER_IS_BETTER[score] is not None]

NO_DIFFERENCE = "no difference"
TOO_SMALL = "no difference that matters"
UNCLEAR = "no clear difference"
TOO_FEW = "too few images"
UNKNOWN = "not known for other seeds"
ANOTHER_SEED = "another seed"

SEPARATOR = ", "  # between the runs of a recipe; no name of a run has a comma


class ScoredRun(NamedTuple):
    """What ``evaluate`` wrote for a run: ``metrics.json`` and three tables beside it.

    Attributes:
        networks: the scores of each network by itself; empty where only one seed was trained.
    """

    metrics: dict
    per_image: pd.DataFrame
    resamples: pd.DataFrame
    networks: pd.DataFrame


class Comparison(NamedTuple):
    """Contents of ``comparison.csv`` (see ``rank_runs``) and of ``comparison_pairs.csv``."""

    table: pd.DataFrame
    pairs: pd.DataFrame


def read_scored_run(metrics: str, per_image: str, resamples: str, networks: str) -> ScoredRun:
    """Read the files of a run.

    Raises:
        UserError: a file is damaged, or they are not of one evaluation.
    """
    run = ScoredRun(
        read_metrics(metrics, []), read_csv(per_image), read_csv(resamples), read_csv(networks)
    )
    missing = [name for name in ("images", *POOLED_SCORES) if name not in run.metrics]
    if missing:
        found = f"no key {missing[0]}, so it is damaged or of an earlier version"
        raise damaged(metrics, found, "evaluate")
    check_columns(per_image, run.per_image, ["id", "group", *SCORES], "evaluate")
    check_columns(resamples, run.resamples, POOLED_SCORES, "evaluate")
    check_columns(networks, run.networks, ["repetition"], "evaluate")
    if run.networks["repetition"].any():
        check_columns(networks, run.networks, SCORES, "evaluate")
    else:
        run = run._replace(networks=run.networks[:0])
    for path, table, rows in (
        (per_image, run.per_image, run.metrics["images"]),
        (resamples, run.resamples, RESAMPLES),
    ):
        if len(table) != rows:
            raise damaged(path, f"{len(table)} rows instead of {rows}", "evaluate")
    return run


def compare_runs(
    runs: Mapping[str, ScoredRun], recipes: Sequence[Sequence[str]], smallest: float
) -> Comparison:
    """Rank runs and compare each two of them.

    Args:
        runs: at least one, all scored on the same images.
        recipes: names of the runs, those that differ in their seed alone together.
        smallest: the smallest difference that matters, of a score from 0 to 1.
    """
    table = rank_runs({name: run.metrics for name, run in runs.items()})
    ranked = {name: runs[name] for name in table["run"]}
    return Comparison(table, compare_pairs(ranked, rank_recipes(table, recipes), smallest))


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


def rank_recipes(table: pd.DataFrame, recipes: Sequence[Sequence[str]]) -> list[list[str]]:
    """The recipes, that with the highest mean of ``headline_score`` first, and so their runs.

    Args:
        table: from ``rank_runs``.
        recipes: names of the runs of each.
    """
    scores = table.set_index("run")[headline_score(table.iloc[0].to_dict())].astype(float)
    ordered = [[run for run in scores.index if run in recipe] for recipe in recipes]
    ordered.sort(key=lambda recipe: scores.index.get_loc(recipe[0]))
    means = [scores[recipe].mean(skipna=False) for recipe in ordered]
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
    return [ordered[place] for place in order]


def compare_pairs(
    runs: Mapping[str, ScoredRun], recipes: Sequence[Sequence[str]], smallest: float
) -> pd.DataFrame:
    """Paired bootstrap over images, for every two recipes and every score with a better direction.

    Both are scored on the same draws of images (Koehn, "Statistical significance tests for
    machine translation evaluation", EMNLP 2004), so what makes an image hard for both
    cancels out. Images of one group are drawn together. A score that is a mean over images is
    compared on the images where both have it. A recipe of several runs has the mean of their
    scores. Where a recipe has several seeds, in several runs or in one run of several networks, the
    interval holds how far they are from each other; see ``seeds.interval_with_seeds``.

    Args:
        runs: at least one, all scored on the same images.
        recipes: names of the runs, those that differ in their seed alone together, in the order of
            ``rank_recipes``.
        smallest: the smallest difference that matters, of a score from 0 to 1.

    Returns:
        run, other: the runs of a recipe, with commas between them; the recipe that comes first in
            ``recipes`` first. After these, every two runs of one recipe.
        score: a key of ``metrics.json``.
        difference: score of ``run`` minus that of ``other``; low, high: its interval.
        share: of the resamples in which ``run`` is better, ties counting half; where the interval
            holds seeds, how probable that is by this interval.
        images: on which both have the score; groups: of these images.
        run_seeds, other_seeds: with how many seeds each of them was trained.
        smallest: as given; NaN for a score of which less is better, which has another unit.
        verdict: "another seed" between runs of one recipe; "no difference" if no resample has any;
            "too few images" if they are of fewer than 6 groups; "not known for other seeds" if one
            of their seeds by itself has no such score; "no difference that matters" if it is below
            ``smallest``; "<name> is better" if the interval leaves out 0; else "no clear
            difference".
        A difference of undefined scores is NaN, as are low, high and share then. These three are
        NaN, too, where the score of a seed is undefined.

    Raises:
        ValueError: the runs were scored on different images.
    """
    ids = [run.per_image["id"].tolist() for run in runs.values()]
    if any(each != ids[0] for each in ids):
        raise ValueError("the runs were scored on different images")
    weights = resampling_weights(next(iter(runs.values())).per_image["group"])
    pairs = [
        *combinations(recipes, 2),
        *(([run], [other]) for recipe in recipes for run, other in combinations(recipe, 2)),
    ]
    rows = [
        {"run": SEPARATOR.join(first), "other": SEPARATOR.join(second), "score": score}
        | _difference(score, [runs[run] for run in first], [runs[run] for run in second], weights)
        | {"smallest": smallest if HIGHER_IS_BETTER[score] else np.nan}
        for first, second in pairs
        for score in PAIRED_SCORES
    ]
    of_one_recipe = {frozenset(pair) for recipe in recipes for pair in combinations(recipe, 2)}
    for row in rows:
        same = frozenset((row["run"], row["other"])) in of_one_recipe
        row["verdict"] = ANOTHER_SEED if same else _verdict(row)
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def _difference(
    score: str, runs: Sequence[ScoredRun], others: Sequence[ScoredRun], weights: np.ndarray
) -> dict:
    """How the mean scores of the runs of two recipes differ."""
    by_image = [
        np.stack([run.per_image[score].to_numpy(float) for run in recipe])
        for recipe in (runs, others)
    ]
    image_differences = by_image[0].mean(axis=0) - by_image[1].mean(axis=0)
    defined = ~np.isnan(image_differences)
    by_seed = [
        np.concatenate([_by_seed(score, run, defined) for run in recipe])
        for recipe in (runs, others)
    ]
    if score in runs[0].resamples:
        drawn = [
            np.mean([run.resamples[score].to_numpy(float) for run in recipe], axis=0)
            for recipe in (runs, others)
        ]
        resampled = drawn[0] - drawn[1]
        means = [
            np.mean([_number(run.metrics[score]) for run in recipe]) for recipe in (runs, others)
        ]
        difference = float(means[0] - means[1])
        defined = np.full_like(defined, not np.isnan(difference))
    else:
        difference = float(image_differences[defined].mean()) if defined.any() else np.nan
        resampled = resampled_means(image_differences[:, np.newaxis], weights)[:, 0]
    images, groups = int(defined.sum()), runs[0].per_image.loc[defined, "group"].nunique()
    sign = 1 if HIGHER_IS_BETTER[score] else -1
    gains = resampled[~np.isnan(resampled)] * sign
    seeds = [len(each) for each in by_seed]
    if sum(seeds) > 2:
        low, high, above = interval_with_seeds(difference, resampled, groups, *by_seed)
        share = above if sign > 0 else 1 - above
    else:
        low, high = interval(resampled, groups)
        share = np.mean((gains > 0) + 0.5 * (gains == 0)) if images else np.nan
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "share": share,
        "images": images,
        "groups": groups,
        "run_seeds": seeds[0],
        "other_seeds": seeds[1],
        "differs": gains.any(),
    }


def _by_seed(score: str, run: ScoredRun, images: np.ndarray) -> np.ndarray:
    """(seeds,) a score of a run, or of each of its seeds where it has several.

    Of several folds it is their mean, whose variance over seeds is about that of their mean logit;
    NaN where one of them has no such score.

    Args:
        score: a key of ``metrics.json``.
        run: with the score of each seed in its networks.
        images: (images,) bool, over which a score of images is compared.
    """
    if len(run.networks):
        by_seed = run.networks.groupby("repetition")[score]
        return by_seed.agg(lambda folds: folds.mean(skipna=False)).to_numpy(float)
    if score in run.resamples:
        return np.array([_number(run.metrics[score])])
    return np.array([run.per_image.loc[images, score].mean()])


def _number(value: float | None) -> float:
    """A score of ``metrics.json``, where NaN is null."""
    return np.nan if value is None else value


def _verdict(row: dict) -> str:
    if row["images"] and not row["differs"]:
        return NO_DIFFERENCE
    if row["groups"] < MIN_GROUPS_FOR_VERDICT:
        return TOO_FEW
    if np.isnan(row["low"]):
        return UNKNOWN
    if abs(row["difference"]) < row["smallest"]:
        return TOO_SMALL
    if row["low"] > 0 or row["high"] < 0:
        return f"{row['run'] if row['share'] > 0.5 else row['other']} is better"
    return UNCLEAR
