"""The tables of the report: scores, data, settings, stages and versions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.folders import natural_key
from maskmake.glossary import DASH, SCORES, Score, number, percent
from maskmake.results import Run

STAGES = ["synthesize", "download", "validate", "binarize", "split", "plan", "train", "predict"]
STAGES += ["decide", "diagnose", "masks", "evaluate", "compare"]


def headline_scores(best: Run) -> list[tuple[str, str, str]]:
    """Heading, value and remark of the figures at the head of the page."""
    metrics = best.metrics
    return [
        ("mean Dice", number(metrics["mean_dice"], 3), "of foreground and background"),
        ("foreground Dice", number(metrics["foreground_dice"], 3), "label white"),
        ("background Dice", number(metrics["background_dice"], 3), "label black"),
        (
            "pixel accuracy",
            percent(metrics["pixel_accuracy"]),
            f"majority: {percent(metrics['majority_accuracy'])}",
        ),
        ("V-Rand", number(metrics["v_rand"], 3), "objects kept apart"),
    ]


def score_table(comparison: pd.DataFrame) -> dict[str, list[dict]]:
    """Rows of the score table, group by group.

    Args:
        comparison: table of ``comparison.csv``, indexed by run.

    Returns:
        For each group of ``SCORES`` its rows: ``score`` and, for each run, ``cells`` of a text,
        whether it is the best, and its interval or an empty text. All runs that round to the best
        value are the best, none if all do.
    """
    groups = {}
    for group, scores in SCORES.items():
        rows = []
        for key, score in scores.items():
            texts = [score.form(value) for value in comparison[key]]
            best = _best_text(comparison[key], score)
            emphasised = best != DASH and len(set(texts)) > 1
            cells = [
                (text, emphasised and text == best, interval)
                for text, interval in zip(texts, _intervals(comparison, key, score), strict=True)
            ]
            rows.append({"score": score, "cells": cells})
        groups[group] = rows
    return groups


def _intervals(values: pd.DataFrame, key: str, score: Score) -> list[str]:
    """The interval of a score for each run, empty where it has none."""
    if f"{key}_low" not in values:
        return [""] * len(values)
    ends = zip(values[f"{key}_low"], values[f"{key}_high"], strict=True)
    return [
        "" if pd.isna(low) else f"{score.form(low)} to {score.form(high)}" for low, high in ends
    ]


def _best_text(values: pd.Series, score: Score) -> str:
    if not score.better:
        return DASH
    return score.form(values.max() if score.better == "higher" else values.min())


def data_facts(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Names and values of what there is to know of the images of a manifest with folds."""
    folds = table["fold"].nunique()
    areas = table["height"] * table["width"]
    sizes = [
        f"{table['height'][row]} × {table['width'][row]}"
        for row in (areas.idxmin(), areas.idxmax())
    ]
    bits = 8 * max(np.dtype(name).itemsize for name in table["dtype"])
    share = table["foreground"]
    return [
        ("Images", number(len(table), 0)),
        ("Cross-validation", f"{folds} folds" if folds > 1 else "none"),
        ("Height × width", " to ".join(dict.fromkeys(sizes)) + " pixels"),
        ("Pixel type", f"{bits} bits, {'RGB' if table['channels'].max() == 3 else 'grey'}"),
        (
            "Foreground",
            f"{percent(share.mean())} of an image on average, "
            f"{percent(share.min())} to {percent(share.max())}",
        ),
    ]


def role_table(table: pd.DataFrame) -> list[tuple[str, int, float]]:
    """Role, number of images and mean foreground share."""
    groups = table.groupby("role")["foreground"]
    return [
        (role, len(groups.get_group(role)), groups.get_group(role).mean())
        for role in ("train", "validation", "test")
        if role in groups.groups
    ]


def settings_table(settings_of_runs: Mapping[str, dict]) -> list[dict]:
    """One row a setting: ``key``, ``values`` of the runs, and whether they ``differ``."""
    flat = [flattened(settings) for settings in settings_of_runs.values()]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = []
    for key in keys:
        values = [setting_text(run[key]) if key in run else DASH for run in flat]
        rows.append({"key": key, "values": values, "differ": len(set(values)) > 1})
    return rows


def flattened(settings: Mapping, prefix: str = "") -> dict:
    """Nested settings under dotted keys."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def setting_text(value) -> str:
    """A value as the configuration file has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def stage_table(folder: Path, runs: Sequence[str]) -> list[dict]:
    """Time and peak memory of each stage, in the order of the chain.

    Args:
        folder: Snakemake's benchmark files, ``<rule>.tsv``, ``<run>-<rule>.tsv`` or
            ``<run>-fold<k>-<rule>.tsv``. Those of other rules, such as this report's, and of
            runs that are no longer configured are left out.
        runs: names of the runs.

    Returns:
        Rows of ``stage``, ``run`` and ``fold`` (empty if it serves all), ``seconds`` and
        ``megabytes``; NaN where Snakemake measured nothing.
    """
    run_names, stages = ("|".join(map(re.escape, names)) for names in (runs, STAGES))
    pattern = re.compile(rf"(?:({run_names})-)?(?:fold(\d+)-)?({stages})")
    rows = []
    for path in sorted(folder.glob("*.tsv"), key=lambda path: natural_key(path.name)):
        match = pattern.fullmatch(path.stem)
        if match is None:
            continue
        run, fold, stage = match.groups(default="")
        measured = pd.read_csv(path, sep="\t", na_values=["NA", "-"])
        rows.append(
            {
                "stage": stage,
                "run": run,
                "fold": fold,
                "seconds": measured["s"].mean(),
                "megabytes": measured["max_rss"].mean(),
            }
        )
    return sorted(rows, key=lambda row: STAGES.index(row["stage"]))


def versions(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and version of each package a training used; several if the trainings differ."""
    pairs = {
        (package, version)
        for run in runs
        for training in run.trainings
        for package, version in training["versions"].items()
    }
    return sorted(pairs)
