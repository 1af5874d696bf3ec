"""The tables of the report: scores, differences, data, settings, stages and versions."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maskmake.data.folders import natural_key
from maskmake.network.settings import AUTO, TrainingRecord
from maskmake.plan.run_plan import EXPLICIT, PlannedSetting, decided
from maskmake.report.inputs import Run
from maskmake.report.terms import (
    DASH,
    HEADINGS,
    SCORE_TERMS,
    Term,
    number,
    percent,
    signed,
    signed_range,
)
from maskmake.scores import scorecard
from maskmake.scores.comparison import SEPARATOR

STAGES = ["synthesize", "download", "retrieve", "validate", "binarize", "split", "plan", "train"]
STAGES += ["predict", "decide", "diagnose", "masks", "evaluate", "compare"]

FIRST = "What matters here"

SET_BEFORE = "set in the configuration when the run was planned; auto, as now, takes the same"

# Times are not scores, and runs are not ranked by them, but a shorter time is better.
HIGHER_IS_BETTER = {**scorecard.HIGHER_IS_BETTER, "seconds_train": False, "seconds_predict": False}


def score_table(comparison: pd.DataFrame, first: Sequence[str] = ()) -> dict[str, list[dict]]:
    """Rows of the score table, group by group.

    Args:
        comparison: table of ``comparison.csv``, indexed by run.
        first: keys of the scores that make a group of their own, ``FIRST``, before the others.

    Returns:
        For each group, those of ``SCORE_TERMS`` without ``first``, its rows: ``term``,
        ``better`` (higher, lower or empty) and ``cells``, for each run a text, whether it is the
        best, and its interval or an empty
        text. All runs that round to the best value are best; if all runs do, none is.
    """
    every = {key: term for terms in SCORE_TERMS.values() for key, term in terms.items()}
    groups = {FIRST: {key: every[key] for key in first}} | {
        group: {key: term for key, term in terms.items() if key not in first}
        for group, terms in SCORE_TERMS.items()
    }
    return {
        group: [_score_row(comparison, key, term) for key, term in terms.items()]
        for group, terms in groups.items()
    }


def _score_row(comparison: pd.DataFrame, key: str, term: Term) -> dict:
    better = {True: "higher", False: "lower", None: ""}[HIGHER_IS_BETTER.get(key)]
    texts = [term.form(value) for value in comparison[key]]
    best = _best_text(comparison[key], better, term)
    emphasised = best != DASH and len(set(texts)) > 1
    cells = [
        (text, emphasised and text == best, interval)
        for text, interval in zip(texts, _intervals(comparison, key, term), strict=True)
    ]
    return {"term": term, "better": better, "cells": cells}


def _intervals(values: pd.DataFrame, key: str, term: Term) -> list[str]:
    """The interval of a score for each run, empty where it has none."""
    if f"{key}_low" not in values:
        return [""] * len(values)
    ends = zip(values[f"{key}_low"], values[f"{key}_high"], strict=True)
    return ["" if pd.isna(low) else f"{term.form(low)} to {term.form(high)}" for low, high in ends]


def _best_text(values: pd.Series, better: str, term: Term) -> str:
    if not better:
        return DASH
    return term.form(values.max() if better == "higher" else values.min())


def difference_tables(pairs: pd.DataFrame, best: str) -> list[dict]:
    """All scores of the best run, or of its recipe, against those of the others.

    Args:
        pairs: table of ``comparison_pairs.csv``.
        best: name of the run.

    Returns:
        For each of them ``run`` and ``other``, their names, and ``rows``, each the texts of score,
        difference, interval, share of the resamples in which ``run`` is better, and verdict.
    """
    return [
        {"run": run, "other": other, "rows": [_difference_row(row) for row in table.itertuples()]}
        for (run, other), table in pairs.groupby(["run", "other"], sort=False)
        if best in [*run.split(SEPARATOR), *other.split(SEPARATOR)]
    ]


def _difference_row(row) -> tuple[str, str, str, str, str]:
    difference, interval = signed(row.difference), signed_range(row.low, row.high)
    return HEADINGS[row.score], difference, interval, percent(row.share), row.verdict


def data_facts(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Names and values of facts about the images of a manifest with folds."""
    folds = table["fold"].nunique()
    areas = table["height"] * table["width"]
    sizes = [
        f"{table['height'][row]} × {table['width'][row]}"
        for row in (areas.idxmin(), areas.idxmax())
    ]
    kinds = {"uint8": "8 bits", "uint16": "16 bits", "bool": "1 bit"}
    types = " and ".join(kinds.get(name, name) for name in sorted(set(table["dtype"])))
    count = table["channels"].max()
    channels = {1: "grey", 3: "RGB"}.get(count, f"{count} channels")
    share, ignored = table["foreground"], table["ignored"]
    rest = f"{percent(ignored.mean())} of an image on average"
    return [
        ("Images", number(len(table), 0)),
        ("Cross-validation", f"{folds} folds" if folds > 1 else "none"),
        ("Height × width", " to ".join(dict.fromkeys(sizes)) + " pixels"),
        ("Pixel type", f"{types}, {channels}"),
        (
            "Foreground",
            f"{percent(share.mean())} of an image on average, "
            f"{percent(share.min())} to {percent(share.max())}",
        ),
        *([("Ignored by labels", rest)] if ignored.any() else []),
    ]


def role_table(table: pd.DataFrame) -> list[tuple[str, int, float]]:
    """Role, number of images and mean foreground share."""
    groups = table.groupby("role")["foreground"]
    return [
        (role, len(groups.get_group(role)), groups.get_group(role).mean())
        for role in ("train", "validation", "test")
        if role in groups.groups
    ]


def settings_table(run_settings: Mapping[str, dict]) -> list[dict]:
    """One row a setting: ``key``, ``values`` of the runs, and whether they ``differ``."""
    flat = [flattened(settings) for settings in run_settings.values()]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = []
    for key in keys:
        values = [setting_text(run[key]) if key in run else DASH for run in flat]
        rows.append({"key": key, "values": values, "differ": len(set(values)) > 1})
    return rows


def plan_table(runs: Iterable[Run], settings: Mapping) -> list[dict]:
    """Rows of the planned settings: ``key``, ``value``, ``reason``, ``runs`` that have it.

    Args:
        runs: with their plans, which do not know what other sections than ``train`` set.
        settings: resolved configuration.
    """
    rows: dict[tuple, list[str]] = {}
    for run in runs:
        asked = settings["runs"][run.name]
        found = {
            name: _as_asked_now(setting, asked[name])
            for name, setting in run.plan["settings"].items()
        }
        for name in run.plan["auto"]:
            section, key = name.split(".")
            found[name] = decided(run.plan, name, settings[section][key])
        for key, setting in found.items():
            value = setting["value"]
            if isinstance(value, list):
                value = ", ".join(map(str, value)) or "none"
            shown = "set" if isinstance(value, dict) else str(value)
            rows.setdefault((key, shown, setting["reason"]), []).append(run.name)
    order = {key: place for place, key in enumerate(dict.fromkeys(row[0] for row in rows))}
    return [
        {"key": key, "value": value, "reason": reason, "runs": ", ".join(names)}
        for (key, value, reason), names in sorted(rows.items(), key=lambda row: order[row[0][0]])
    ]


def _as_asked_now(planned: PlannedSetting, asked: Any) -> PlannedSetting:
    """A setting with the reason that holds now: one with the value of the plan makes no new plan.

    Args:
        planned: the value and the reason that it had when the run was planned.
        asked: the setting in the configuration.
    """
    if asked != AUTO:
        return {**planned, "reason": EXPLICIT}
    return {**planned, "reason": SET_BEFORE} if planned["reason"] == EXPLICIT else planned


def flattened(settings: Mapping, prefix: str = "") -> dict:
    """Nested settings under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def setting_text(value) -> str:
    """A value as it is written in the configuration file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def stage_table(
    benchmarks: Iterable[str | Path], trainings: Mapping[str, Sequence[TrainingRecord]]
) -> list[dict]:
    """Time and peak memory of each stage, in the order of the chain.

    Args:
        benchmarks: Snakemake's benchmark files, ``<stage>.tsv``, ``<run>-<stage>.tsv`` or
            ``<run>-fold<k>-<stage>.tsv``, the stage one of ``STAGES``.
        trainings: contents of ``training.json`` of each fold, by run. They stand in for the
            benchmarks of the trainings: one of these that is missing would train again.

    Returns:
        Rows of ``stage``, ``run`` and ``fold`` (empty if the stage is for all), ``seconds`` and
        ``megabytes``; NaN where nothing was measured.
    """
    run_names, stages = ("|".join(map(re.escape, names)) for names in (trainings, STAGES))
    pattern = re.compile(rf"(?:({run_names})-)?(?:fold(\d+)-)?({stages})")
    rows = [
        {
            "stage": "train",
            "run": run,
            "fold": str(number),  # as in the names of the folders, also with several seeds
            "seconds": record["seconds"],
            "megabytes": record.get("peak_memory", np.nan) / 2**20,
        }
        for run, records in trainings.items()
        for number, record in enumerate(records)
    ]
    for path in sorted(map(Path, benchmarks), key=lambda path: natural_key(path.name)):
        match = pattern.fullmatch(path.stem)
        if match is None:
            raise ValueError(f"{path}: not a benchmark of a stage")
        run, fold, stage = match.groups(default="")
        measured = pd.read_csv(path, sep="\t", na_values=["NA", "-"])
        rows.append(
            {
                "stage": stage,
                "run": run,
                "fold": fold,
                "seconds": measured["s"].mean(),
                # What ends before Snakemake looks at it, after a second or so, has used 0.
                "megabytes": measured["max_rss"].replace(0, np.nan).mean(),
            }
        )
    return sorted(rows, key=lambda row: STAGES.index(row["stage"]))


def versions(trainings: Iterable[Mapping]) -> list[tuple[str, str]]:
    """Name and version of each package that trainings used; several versions if they differ.

    Args:
        trainings: contents of ``training.json``.
    """
    pairs = {
        (package, version)
        for training in trainings
        for package, version in training["versions"].items()
    }
    return sorted(pairs)
