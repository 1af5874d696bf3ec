"""The plan of a run: which settings the rules choose, and what a user should know of the data."""

from collections.abc import Sequence

from maskmake.data.fingerprint import Plan
from maskmake.data.training_needs import image_faults
from maskmake.network.settings import AUTO
from maskmake.network.tiles import Shape2D
from maskmake.plan.machine import Machine, needed_memory
from maskmake.plan.mask_settings import plan_masks
from maskmake.plan.rules import RULES, differences
from maskmake.plan.run_plan import EXPLICIT, PlannedSetting, RunPlan
from maskmake.runtime.errors import UserError

# With this many labelled patches or fewer, a network sees nothing but what it has seen before.
FEW_PATCHES = 5
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
        "warnings": _warnings(settings, data),
        "needed_memory": needed_memory(
            settings, settings["batch"], settings["patch"], machine.gpus
        ),
        "device": machine.name,
    }


def _warnings(settings: dict, data: Plan) -> list[str]:
    found = []
    patch = settings["patch"]
    patches = data["training_pixels"] / patch**2
    if patches <= FEW_PATCHES:
        found.append(
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
        found.append(
            f"dataset.images: images share no brightness: their means differ by {between:.3g} "
            f"(standard deviation), and pixels inside an image by {inside:.3g}; expected images of "
            f"one kind; {remedy}."
        )
    return found
