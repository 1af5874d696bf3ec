"""The rules that choose settings by the data and the machine: one function for each setting.

To plan one more setting, write its rule here, put it into ``RULES`` behind those whose values it
reads, name the setting in ``network.settings.PLANNED``, and give it ``auto`` as a value in the
schema.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from maskmake.data.fingerprint import Plan
from maskmake.network.settings import AUTO, patch_step
from maskmake.plan.machine import BASE, OUTPUT_BYTES, Machine, gib, needed_memory
from maskmake.plan.presets import PRESETS, Preset
from maskmake.runtime.errors import UserError

# An encoder halves a patch five times: of less than 128 pixels fewer than 4 x 4 are left.
SMALLEST_PATCH = 128
# Sides of a patch in lengths of an object, so that objects are seen with what surrounds them.
LENGTHS = 2
# The encoder whose layers have the smallest outputs.
SMALLEST_ENCODER = min(OUTPUT_BYTES, key=lambda encoder: OUTPUT_BYTES[encoder])
# Statistics of a batch need two images at least; nnU-Net's batches hold at most a twentieth of the
# pixels (Isensee et al. 2021), so that they differ.
SMALLEST_BATCH, MOST_OF_PIXELS = 2, 0.05
# The preset after whose views a training ends, however many ``train.minutes`` there are.
LONGEST = "best"
# So many times the length of a preset, and a reason says that a training is longer: rounding makes
# less.
LONGER = 1.1
# Share of foreground below which patches are centred on it: a third of them as in nnU-Net, and half
# where it is rarer still. Cracks of 0.4 % reached foreground Dice 0.71 with half of the patches so,
# and 0.25 without (another split).
RARE = ((0.01, 0.5), (0.05, 0.33))
# Side of a pixel of the middle level that deep supervision trains (``train.side_heads``).
# It cost Dice on cracks 3 pixels wide, and paid on five of six sets of wider structures.
MIDDLE_LEVEL = 4


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
    step = patch_step(settings["architecture"])
    side = median_side(data)
    most = max(step, int(min(side, preset_of(settings).patch)) // step * step)
    if most < SMALLEST_PATCH:  # of a small image the nearest multiple shows more
        most = max(step, round(side / step) * step)
    length = data["structures"]["object_length"]
    wanted = max(SMALLEST_PATCH, LENGTHS * length)
    patch = min(most, math.ceil(wanted / step) * step)
    objects = f"the typical object is {length:.0f} pixels long"
    size = f"twice that, at least {SMALLEST_PATCH}"
    if not length:
        partial = "in partial labels no object is known to be whole"
        objects = partial if "ignored" in data else "there is no object to measure"
        size = f"{SMALLEST_PATCH}"
    if patch < wanted and most >= preset_of(settings).patch // step * step:
        return Choice(patch, f"{objects}; the most of the preset {settings['preset']}")
    if patch < wanted:
        return Choice(patch, f"the median image has a side of {side:g} pixels")
    return Choice(patch, f"{objects}; {size}, a multiple of {step}")


def median_side(data: Plan) -> float:
    """The shorter side of the median image, in pixels."""
    return min(data["height"]["median"], data["width"]["median"])


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
        share = batch * patch**2 / max(1, data["training_pixels"])
        reason = f"{share:.0%} of the labelled pixels; more would make all batches alike"
        if share >= 1:
            reason = "a step has as many pixels as are labelled"
    if machine.gpus > 1:
        reason += f"; a multiple of {machine.gpus} GPUs"
    memory = machine.memory
    if memory is None:
        return Choice(batch, reason)
    wanted = batch
    while batch > smallest and needed_memory(settings, batch, patch, machine) > memory:
        batch = _shared(max(smallest, batch // 2), machine)
    needed = needed_memory(settings, batch, patch, machine)
    if needed > memory:
        raise UserError(
            f"train.batch: even {batch} patches of {patch} x {patch} pixels may need "
            f"{gib(needed)} GiB, and the {machine.name} has {gib(memory)} to give; "
            f"{_ways_to_less_memory(settings, memory)}."
        )
    if batch < wanted:
        reason = f"memory decides: {wanted} would not fit into {gib(memory)} GiB"
    return Choice(batch, reason)


def _ways_to_less_memory(settings: dict, memory: int) -> str:
    ways, step = [], patch_step(settings["architecture"])
    if memory <= BASE:
        return "no patch is small enough; end other programs, or use a machine with more memory"
    if settings["patch"] > step:
        ways.append(f"train.patch to a smaller multiple of {step}")
    if settings["encoder"] != SMALLEST_ENCODER:
        ways.append(f"train.encoder to a smaller one such as {SMALLEST_ENCODER}")
    return f"set {' or '.join(ways)}" if ways else "use a machine with more memory"


def _power_of_two(number: float) -> int:
    return 2 ** int(math.log2(number)) if number >= 1 else 1


def _shared(batch: int, machine: Machine) -> int:
    """The next batch that the GPUs can share equally."""
    return math.ceil(batch / max(1, machine.gpus)) * max(1, machine.gpus)


def _length(data: Plan, settings: dict, name: str) -> Choice:
    """Steps of the whole training of a preset, and the views of each labelled pixel they make."""
    preset, pixels = PRESETS[name], max(1, data["training_pixels"])
    seen = min(max(preset.views * pixels, preset.least), preset.most)
    of_step = settings["batch"] * settings["patch"] ** 2
    steps = max(1, math.ceil(seen / of_step))
    if steps > preset.longest:
        reason = f"{_views(preset.longest * of_step / pixels)}, since {name} has"
        return Choice(preset.longest, f"{reason} {preset.longest:,} steps at most")
    reason = _views(seen / pixels)
    if seen == preset.least > preset.views * pixels:
        reason += f", since {name} sees {preset.least // 10**6:,} million pixels at least"
    elif seen < preset.views * pixels:
        reason += f", since {name} sees {preset.most // 10**6:,} million pixels at most"
    else:
        reason += f", as {name} has"
    return Choice(steps, reason)


def _why_so_long(data: Plan, settings: dict, name: str, steps: int, epochs: int) -> str:
    """The reason of a preset's length, or what makes a training longer: steps or epochs are set."""
    length = _length(data, settings, name)
    if steps * epochs <= LONGER * length.value:
        return length.reason
    of_step = settings["batch"] * settings["patch"] ** 2
    views = _views(steps * epochs * of_step / max(1, data["training_pixels"]))
    return f"{views}, more than {name} has, by {epochs:,} x {steps:,} steps"


def _views(number: float) -> str:
    digits = ",.0f" if number >= 10 else ".3g"
    written = f"{number:{digits}}" if number >= 0.01 else "less than 0.01"
    return f"{written} views of each labelled pixel"


def choose_epochs(data: Plan, settings: dict, machine: Machine) -> Choice:
    """What the preset has; where the steps of an epoch are set, as many as its length takes."""
    if settings["minutes"] is not None:
        of_epoch = _steps_of_epoch(data, settings)
        longest = _length(data, settings, LONGEST).value
        epochs = math.ceil(longest / of_epoch)
        views = _why_so_long(data, settings, LONGEST, of_epoch, epochs)
        return Choice(
            epochs, f"train.minutes end the training; at the latest it ends after {views}"
        )
    total = _length(data, settings, settings["preset"]).value
    if settings["steps"] != AUTO:
        of_epoch, epochs = settings["steps"], math.ceil(total / settings["steps"])
        return Choice(epochs, _why_so_long(data, settings, settings["preset"], of_epoch, epochs))
    most = preset_of(settings).epochs
    # As many as the steps that follow from it need, so that the same steps, set, give it too.
    epochs = math.ceil(total / math.ceil(total / most))
    as_many = "as" if epochs == most else f"at most the {most} that"
    return Choice(epochs, f"{as_many} {settings['preset']} has; a validation after each")


def choose_steps(data: Plan, settings: dict, machine: Machine) -> Choice:
    """As many as the length of the preset takes."""
    if settings["minutes"] is not None:
        reason = f"an epoch of {settings['preset']}; train.minutes end the training"
        return Choice(_steps_of_epoch(data, settings), reason)
    name, epochs = settings["preset"], settings["epochs"]
    steps = math.ceil(_length(data, settings, name).value / epochs)
    return Choice(steps, _why_so_long(data, settings, name, steps, epochs))


def _steps_of_epoch(data: Plan, settings: dict) -> int:
    """Steps that are set, or those of each epoch that the preset has."""
    if settings["steps"] != AUTO:
        return settings["steps"]
    total, _ = _length(data, settings, settings["preset"])
    return math.ceil(total / preset_of(settings).epochs)


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


def choose_deep_supervision(data: Plan, settings: dict, machine: Machine) -> Choice:
    """For structures that two of the three levels can show."""
    if settings["architecture"] == "PSPNet":
        return Choice(False, "PSPNet has a single level to predict from")
    structures = data["structures"]
    widths = structures["foreground_width"], structures["background_width"]
    width = min(filter(None, widths), default=MIDDLE_LEVEL)
    if width >= MIDDLE_LEVEL and not all(widths):
        partial = "the widths of structures cannot be measured in partial labels"
        one_class = "no label has both classes, so structures have no width"
        return Choice(False, partial if "ignored" in data else one_class)
    pixels = f"a pixel of the decoder's middle level is {MIDDLE_LEVEL} wide"
    return Choice(width >= MIDDLE_LEVEL, f"structures are {width:.1f} pixels wide, and {pixels}")


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
    "deep_supervision": choose_deep_supervision,
}
