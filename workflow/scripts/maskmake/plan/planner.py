"""The plan of a run: which settings the rules choose, and what a user should know of the data."""

from collections.abc import Callable, Iterator, Sequence

from maskmake.data.fingerprint import Plan
from maskmake.data.training_needs import image_faults
from maskmake.network.settings import AUTO
from maskmake.network.tiles import Shape2D
from maskmake.plan.machine import Machine, gib, needed_memory
from maskmake.plan.mask_settings import plan_masks
from maskmake.plan.rules import RULES, differences, median_side
from maskmake.plan.run_plan import EXPLICIT, PlannedSetting, RunPlan, every_value
from maskmake.runtime.errors import UserError
from maskmake.runtime.log import logger

# With this many labelled patches or fewer, a network sees nothing but what it has seen before.
FEW_PATCHES = 5
# Beyond so many sides of an image, most of a patch is a margin.
MARGIN = 1.5
# A training of fewer steps has hardly begun.
FEW_STEPS = 50
# So many times the difference inside an image, and no brightness means the same in two images.
APART = 3


def plan_run(section: dict, data: Plan, shapes: Sequence[Shape2D], machine: Machine) -> RunPlan:
    """Give every setting that is ``auto`` a value by its rule; all others stay as they are.

    Args:
        section: the settings of a run that are planned, and those that rules read.
        data: the fingerprint of the data set.
        shapes: (H, W) of each image.
        machine: that the training runs on.

    Raises:
        UserError: the fingerprint is of an earlier version, the images do not fit the settings,
            or not even the smallest batch fits into memory.
    """
    if not {"structures", "training_pixels"} <= data.keys():
        raise UserError(
            "data/plan.json is of an earlier version and does not say how large objects are; "
            "expected the file of this one; add -R plan to the command once, which trains again."
        )
    if faults := list(image_faults(data["dtype"], data["channels"], section)):
        raise UserError(" ".join(faults))
    settings = dict(section)
    planned: dict[str, PlannedSetting] = {}
    for name, rule in RULES.items():
        reason = EXPLICIT
        if settings[name] == AUTO:
            settings[name], reason = rule(data, settings, machine)
        planned[name] = {"value": settings[name], "reason": reason}
    return {
        "settings": planned,
        "auto": {
            name: {"value": choice.value, "reason": choice.reason}
            for name, choice in plan_masks(settings, shapes).items()
        },
        "warnings": [
            *_data_warnings(settings, data),
            *_training_warnings(section, settings, data, machine),
        ],
        "needed_memory": needed_memory(settings, settings["batch"], settings["patch"], machine),
        "device": machine.name,
    }


def settings_that_decide(
    section: dict, plan: RunPlan, make_plan: Callable[[dict], RunPlan]
) -> dict:
    """The settings of a run with ``auto`` wherever that leads to the same values.

    Args:
        section: as for ``plan_run``.
        plan: of these settings.
        make_plan: gives the plan of other settings, by the same data and machine.

    Returns:
        A section whose plan has the values of ``plan``.
    """
    found = section
    for name in plan["settings"]:
        if section[name] == AUTO:
            continue
        freed = found | {name: AUTO}
        try:
            same = every_value(make_plan(freed)) == every_value(plan)
        except UserError:  # there is no plan without the setting
            same = False
        found = freed if same else found
    return found


def log_plan(plan: RunPlan, memory: int | None) -> None:
    """Write a line for each setting, one for the memory, and the warnings.

    Args:
        plan: of the run.
        memory: bytes that the device has to give; None where that is not known.
    """
    for name, setting in plan["settings"].items():
        logger.info("train.%s: %s; %s", name, setting["value"], setting["reason"])
    for name, setting in plan["auto"].items():
        logger.info("%s: auto takes %s; %s", name, setting["value"], setting["reason"])
    there = "" if memory is None else f"; the {plan['device']} has {gib(memory)} GiB to give"
    logger.info("memory: a training may take %s GiB%s", gib(plan["needed_memory"]), there)
    for warning in plan["warnings"]:
        logger.warning("%s", warning)


def _data_warnings(settings: dict, data: Plan) -> Iterator[str]:
    """What a user should know of the data."""
    patch = settings["patch"]
    patches = data["training_pixels"] / patch**2
    if patches <= FEW_PATCHES:
        yield (
            f"dataset.labels: the labelled pixels of the training images make {patches:.1f} "
            f"patches of {patch} x {patch} pixels; expected more than {FEW_PATCHES}; label more "
            "images, or do not rely on the masks."
        )
    between, inside = differences(data)
    if between > APART * inside:
        remedy = (
            "check that all are of one kind"
            if settings["normalization"] == "image"
            else "set train.normalization to image, or check that all are of one kind"
        )
        yield (
            f"dataset.images: images share no brightness: their means differ by {between:.3g} "
            f"(standard deviation), and pixels inside an image by {inside:.3g}; expected images of "
            f"one kind; {remedy}."
        )


def _training_warnings(
    section: dict, settings: dict, data: Plan, machine: Machine
) -> Iterator[str]:
    """What a user should know of a patch or a batch that is set.

    Args:
        section: as the user set it.
        settings: with the values of the plan.
        data: the fingerprint.
        machine: of the training.
    """
    patch, batch = settings["patch"], settings["batch"]
    side = median_side(data)
    if patch > MARGIN * side:
        yield (
            f"train.patch: {patch}, but the median image has a side of {side:g} pixels; the rest "
            "of each patch is a reflected margin from which nothing is learned; set auto."
        )
    needed, memory = needed_memory(settings, batch, patch, machine), machine.memory
    if memory is not None and needed > memory:
        yield (
            f"train.batch: {batch} patches of {patch} x {patch} pixels may need {gib(needed)} GiB, "
            f"and the {machine.name} has {gib(memory)} to give; set auto or a smaller batch if the "
            "training fails."
        )
    steps = settings["steps"] * settings["epochs"]
    if AUTO in (section["steps"], section["epochs"]) and steps < FEW_STEPS:
        size = "patch" if section["batch"] == AUTO else "batch"
        yield (
            f"train.{size}: {batch} patches of {patch} x {patch} pixels make the training "
            f"{steps} steps long; expected {FEW_STEPS} or more to learn in; set auto or a smaller "
            f"{size}, or train.steps."
        )
