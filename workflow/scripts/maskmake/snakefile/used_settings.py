"""The settings that results were made with, for sentences: what ``auto`` took, what was learned.

The captions of ``snakemake --report`` read them as params of a rule, at a time when the files of
its inputs are there. A file that is missing or damaged leaves its settings as they are.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskmake.data.data_source import named_places
from maskmake.network.settings import AUTO

CHOSEN_BY_PLAN = "chosen by the plan (see Settings)"
# Of ``decision.json``, without its curves and images.
DECIDED = (
    "method",
    "objects",
    "objective",
    "threshold",
    "upper",
    "min_seed",
    "min_object",
    "min_hole",
    "temperature",
)


def used_settings(
    settings: dict, runs: Sequence[str], plans: Sequence[str], decisions: Sequence[str], split: str
) -> dict[str, Any]:
    """The settings of the report as the results have them.

    Args:
        settings: resolved configuration: ``dataset``, ``split``, ``predict`` and ``runs``.
        runs: names of the runs, in the order of the paths.
        plans, decisions: paths of ``plan.json`` and ``decision.json`` of each run.
        split: path of ``split.json``.

    Returns:
        images, labels: where they come from.
        split: its section, with the method that was taken.
        runs: for each run its settings of ``train``, and ``tile``, ``overlap`` and ``tta`` of
            ``predict``. Where there is no plan, what is ``auto`` says so.
        decisions: for each run, what ``used_decision`` gives.
    """
    method = _read(split).get("method", settings["split"]["method"])
    used = {run: _used_training(settings, run, plan) for run, plan in zip(runs, plans, strict=True)}
    learned = {run: used_decision(decision) for run, decision in zip(runs, decisions, strict=True)}
    return {
        **named_places(settings["dataset"]),
        "split": settings["split"] | {"method": _or_chosen(method)},
        "runs": used,
        "decisions": learned,
    }


def used_decision(path: str) -> dict[str, Any]:
    """The learned decision: those values of ``decision.json`` that a sentence names."""
    found = _read(path)
    return {name: found[name] for name in DECIDED if found.get(name) is not None}


def free_thresholds(path: str) -> list[float]:
    """The lowest and the highest threshold that ``specks.json`` has; empty without the file."""
    return _read(path).get("free_thresholds", [])


def _used_training(settings: dict, run: str, plan: str) -> dict[str, Any]:
    found = _read(plan)
    planned = {name: setting["value"] for name, setting in found.get("settings", {}).items()}
    predict = {name: settings["predict"][name] for name in ("tile", "overlap", "tta")}
    if predict["tile"] == AUTO and "predict.tile" in found.get("auto", {}):
        predict["tile"] = found["auto"]["predict.tile"]["value"]
    used = settings["runs"][run] | planned | predict
    return {name: _or_chosen(value) for name, value in used.items()}


def _or_chosen(value: Any) -> Any:
    return CHOSEN_BY_PLAN if value == AUTO else value


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
