"""``plan.json`` of a run: each planned setting with its value and the reason."""

from pathlib import Path
from typing import Any, TypedDict

from maskmake.runtime.documents import read_document
from maskmake.runtime.log import logger


class PlannedSetting(TypedDict):
    """A value that a training takes, and why."""

    value: int | float | str | dict
    reason: str


class RunPlan(TypedDict):
    """Contents of ``plan.json`` of a run.

    Attributes:
        settings: by the name of each setting in the section ``train``.
        warnings: what a user should know of the data, one sentence each.
        needed_memory: bytes that a training takes at most, by an estimate.
        device: ``GPU`` or ``processor``.
    """

    settings: dict[str, PlannedSetting]
    warnings: list[str]
    needed_memory: int
    device: str


def read_run_plan(path: str | Path) -> RunPlan:
    """Read ``plan.json`` of a run.

    Raises:
        UserError: it is no JSON document, or a value is missing or not what it should be.
    """
    plan: RunPlan = read_document(path, RunPlan)
    return plan


def planned_values(plan: RunPlan) -> dict[str, Any]:
    """The settings of a training that the plan of its run has, without what led to them."""
    return {name: s["value"] for name, s in plan["settings"].items() if name != "preset"}


def log_plan(plan: RunPlan) -> None:
    """Write a line for each setting, and the warnings."""
    for name, setting in plan["settings"].items():
        logger.info("train.%s: %s; %s", name, setting["value"], setting["reason"])
    for warning in plan["warnings"]:
        logger.warning("%s", warning)
