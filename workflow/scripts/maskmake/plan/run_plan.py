"""``plan.json`` of a run: each planned setting with its value and the reason."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, TypedDict

from maskmake.network.settings import AUTO
from maskmake.runtime.documents import Keywords, read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger

EXPLICIT = "set in the configuration"


class PlannedSetting(TypedDict):
    """A value that a training takes, and why."""

    value: bool | int | float | str | dict | list[int]
    reason: str


def _value(**schema) -> dict:
    return {"properties": {"value": schema}}


# What the value of each planned setting is.
VALUES = {
    "properties": {
        **dict.fromkeys(["patch", "batch", "steps", "epochs"], _value(type="integer", minimum=1)),
        "foreground_patches": _value(type="number", minimum=0, maximum=1),
        "augmentation": _value(type=["string", "object"]),
        "deep_supervision": _value(type="boolean"),
        **dict.fromkeys(["preset", "normalization"], _value(type="string")),
    }
}


class RunPlan(TypedDict):
    """Contents of ``plan.json`` of a run.

    Attributes:
        settings: by the name of each setting in the section ``train``.
        auto: what ``auto`` takes for settings of other sections, by their dotted names; they may be
            set later, so the plan does not know.
        warnings: what a user should know of the data, one sentence each.
        needed_memory: bytes that a training takes at most, by an estimate.
        device: ``GPU`` or ``processor``.
    """

    settings: Annotated[dict[str, PlannedSetting], Keywords(allOf=[VALUES])]
    auto: dict[str, PlannedSetting]
    warnings: list[str]
    needed_memory: int
    device: str


def read_run_plan(path: str | Path, planned: Collection[str] = ()) -> RunPlan:
    """Read ``plan.json`` of a run.

    Args:
        path: of the file.
        planned: the settings that it has to have: of the section ``train`` by their names, others
            by their dotted names.

    Raises:
        UserError: it is no JSON document, or a value is missing or not what it should be.
    """
    plan: RunPlan = read_document(path, RunPlan)
    missing = [name for name in planned if name not in {**plan["settings"], **plan["auto"]}]
    if missing:
        raise UserError(
            f"{path}: no setting {missing[0]}, so it is damaged or of an earlier version; expected "
            "it as plan wrote it; copy the results again, or add -R plan_run to the command once."
        )
    return plan


def every_value(plan: RunPlan) -> dict[str, Any]:
    """The value of each planned setting."""
    return {name: setting["value"] for name, setting in plan["settings"].items()}


def planned_values(plan: RunPlan) -> dict[str, Any]:
    """The settings of a training that the plan of its run has, without what led to them."""
    return {name: value for name, value in every_value(plan).items() if name != "preset"}


def decided(plan: RunPlan, name: str, setting: Any) -> PlannedSetting:
    """A setting of another section than ``train``: what is set, or what ``auto`` takes.

    Args:
        plan: of the run.
        name: of the setting, such as ``predict.tile``.
        setting: its value in the configuration.
    """
    return plan["auto"][name] if setting == AUTO else {"value": setting, "reason": EXPLICIT}


def planned_value(plan: RunPlan, name: str, setting: Any) -> Any:
    """The value that ``decided`` gives, with a line in the log."""
    found = decided(plan, name, setting)
    logger.info("%s: %s; %s", name, found["value"], found["reason"])
    return found["value"]
