"""The rules that choose settings by the data and the machine: one function for each setting.

To plan one more setting, write its rule here, put it into ``RULES`` behind those whose values it
reads, name the setting in ``network.settings.PLANNED``, and give it ``auto`` as a value in the
schema.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from maskmake.data.fingerprint import Plan
from maskmake.network.settings import AUTO, ENCODER_STRIDE
from maskmake.plan.machine import Machine, needed_memory
from maskmake.plan.presets import PRESETS, Preset
from maskmake.runtime.errors import UserError

PSPNET_STEP = 96  # see ``snakefile.config``
# An encoder halves a patch five times: of less than 128 pixels fewer than 4 x 4 are left.
SMALLEST_PATCH = 128
# Sides of a patch in lengths of an object, so that objects are seen with what surrounds them.
LENGTHS = 2
# Statistics of a batch need two images at least; nnU-Net's batches hold at most a twentieth of the
# pixels (Isensee et al. 2021), so that they differ.
SMALLEST_BATCH, MOST_OF_PIXELS = 2, 0.05
# Share of foreground below which patches are centred on it: a third of them as in nnU-Net, and half
# where it is rarer still. Cracks of 0.4 % reached foreground Dice 0.71 with half of the patches so,
# and 0.25 without (another split).
RARE = ((0.01, 0.5), (0.05, 0.33))


class Choice(NamedTuple):
    """A value and why, in words that need no subject."""

    value: Any
    reason: str


def preset_of(settings: dict) -> Preset:
    """The preset of a run whose preset is chosen."""
    return PRESETS[settings["preset"]]


def choose_preset(data: Plan, settings: dict, machine: Machine) -> Choice:
    """The short length for the processor."""
    if machine.gpus:
        return Choice("standard", "there is a GPU")
    return Choice("quick", "without a GPU, standard and best would take hours")


def choose_patch(data: Plan, settings: dict, machine: Machine) -> Choice:
    """Twice the length of the typical object, at most the shape of the median image."""
    step = PSPNET_STEP if settings["architecture"] == "PSPNet" else ENCODER_STRIDE
    side = min(data["height"]["median"], data["width"]["median"])
    most = max(step, int(min(side, preset_of(settings).patch)) // step * step)
    length = data["structures"]["object_length"]
    wanted = max(SMALLEST_PATCH, LENGTHS * length)
    patch = min(most, math.ceil(wanted / step) * step)
    objects = f"the typical object is {length:.0f} pixels long"
    if patch < wanted and most >= preset_of(settings).patch // step * step:
        return Choice(patch, f"{objects}; the most of the preset {settings['preset']}")
    if patch < wanted:
        return Choice(patch, f"the median image has a side of {side:g} pixels")
    return Choice(patch, f"{objects}; twice that, at least {SMALLEST_PATCH}, a multiple of {step}")


def choose_batch(data: Plan, settings: dict, machine: Machine) -> Choice:
    """As many patches as make a step, and fit into memory.

    Raises:
        UserError: not even the smallest batch fits into memory.
    """
    patch, preset = settings["patch"], preset_of(settings)
    of_step = _power_of_two(preset.step / patch**2)
    of_pixels = _power_of_two(MOST_OF_PIXELS * data["training_pixels"] / patch**2)
    smallest = _shared(SMALLEST_BATCH, machine)
    batch = _shared(max(SMALLEST_BATCH, min(of_step, of_pixels)), machine)
    reason = f"{batch * patch**2:,} pixels a step"
    if of_pixels < of_step:
        share = batch * patch**2 / data["training_pixels"]
        reason = f"{share:.0%} of the labelled pixels; more would make all batches alike"
    memory = machine.memory()
    if memory is None:
        return Choice(batch, reason)
    wanted = batch
    while batch > smallest and needed_memory(settings, batch, patch, machine.gpus) > memory:
        batch = _shared(max(smallest, batch // 2), machine)
    needed = needed_memory(settings, batch, patch, machine.gpus)
    if needed > memory:
        raise UserError(
            f"train.batch: even {batch} patches of {patch} x {patch} pixels may need "
            f"{_gib(needed)} GiB, and the {machine.name} has {_gib(memory)} to give; set "
            "train.patch to a smaller multiple of 32, or train.encoder to a smaller one such as "
            "resnet18."
        )
    if batch < wanted:
        reason = f"memory decides: {wanted} would not fit into {_gib(memory)} GiB"
    return Choice(batch, reason)


def _power_of_two(number: float) -> int:
    return 2 ** int(math.log2(number)) if number >= 1 else 1


def _shared(batch: int, machine: Machine) -> int:
    """The next batch that the GPUs can share equally."""
    return math.ceil(batch / max(1, machine.gpus)) * max(1, machine.gpus)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f}"


def _length(data: Plan, settings: dict) -> Choice:
    """Steps of the whole training, and the views of each labelled pixel that they make."""
    preset, pixels = preset_of(settings), max(1, data["training_pixels"])
    seen = min(max(preset.views * pixels, preset.least), preset.most)
    steps = max(1, math.ceil(seen / (settings["batch"] * settings["patch"] ** 2)))
    views, name = seen / pixels, settings["preset"]
    reason = f"{views:.3g} views of each labelled pixel"
    if seen == preset.least > preset.views * pixels:
        reason += f", since {name} sees {preset.least // 10**6:,} million pixels at least"
    elif seen < preset.views * pixels:
        reason += f", since {name} sees {preset.most // 10**6:,} million pixels at most"
    else:
        reason += f", as {name} has"
    return Choice(steps, reason)


def choose_epochs(data: Plan, settings: dict, machine: Machine) -> Choice:
    """What the preset has; where the steps of an epoch are set, as many as its length takes."""
    total, views = _length(data, settings)
    if settings["steps"] != AUTO:
        return Choice(math.ceil(total / settings["steps"]), views)
    most = preset_of(settings).epochs
    # As many as the steps that follow from it need, so that the same steps, set, give it too.
    epochs = math.ceil(total / math.ceil(total / most))
    as_many = "as" if epochs == most else f"at most the {most} that"
    return Choice(epochs, f"{as_many} {settings['preset']} has; a validation after each")


def choose_steps(data: Plan, settings: dict, machine: Machine) -> Choice:
    """As many as the length of the preset takes."""
    total, views = _length(data, settings)
    return Choice(math.ceil(total / settings["epochs"]), views)


def choose_foreground_patches(data: Plan, settings: dict, machine: Machine) -> Choice:
    """More patches on foreground the rarer it is."""
    share = data["foreground"]
    for limit, patches in RARE:
        if 0 < share < limit:
            return Choice(patches, f"{share:.2%} of the labelled pixels are foreground, so rare")
    return Choice(0.0, f"{share:.1%} of the labelled pixels are foreground, not rare")


def choose_normalization(data: Plan, settings: dict, machine: Machine) -> Choice:
    """Each image by itself where the means of images differ more than pixels inside one."""
    between, inside = differences(data)
    numbers = f"the means of images differ by {between:.3g}, pixels inside an image by {inside:.3g}"
    if between > inside:
        return Choice("image", numbers)
    return Choice("standard", f"{numbers} (standard deviations)")


def differences(data: Plan) -> tuple[float, float]:
    """Standard deviation between the means of images, and inside images.

    Of several channels, those of the one whose images differ most.
    """
    pairs = zip(data["intensity"]["between"], data["intensity"]["inside"], strict=True)
    return max(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] else pair[0])


def choose_augmentation(data: Plan, settings: dict, machine: Machine) -> Choice:
    """The preset that keeps what labels mean, for images without a direction."""
    return Choice("default", "for images that may be turned and flipped; set another for others")


Rule = Callable[[Plan, dict, Machine], Choice]
# In this order: a rule reads the values that those before it chose.
RULES: dict[str, Rule] = {
    "preset": choose_preset,
    "patch": choose_patch,
    "batch": choose_batch,
    "epochs": choose_epochs,
    "steps": choose_steps,
    "foreground_patches": choose_foreground_patches,
    "normalization": choose_normalization,
    "augmentation": choose_augmentation,
}
