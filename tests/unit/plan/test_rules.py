"""What each rule of the plan chooses, by constructed fingerprints and machines."""

import copy
import itertools
import logging
import re
from dataclasses import dataclass

import pytest
from schema import SCHEMA

from maskmake.network.settings import PLANNED, TrainSettings
from maskmake.plan.machine import OUTPUT_BYTES, needed_memory
from maskmake.plan.planner import log_plan, plan_run, settings_that_decide
from maskmake.plan.presets import PRESETS
from maskmake.plan.rules import RULES
from maskmake.plan.run_plan import planned_value, planned_values
from maskmake.runtime.errors import UserError

TRAIN = SCHEMA["$defs"]["train"]["properties"]
GIB = 2**30

# Sixty images of 512 x 512 pixels, of which forty are trained on.
DATA = {
    "images": 60,
    "height": {"minimum": 512, "median": 512.0, "maximum": 512},
    "width": {"minimum": 512, "median": 512.0, "maximum": 512},
    "channels": 1,
    "dtype": "uint8",
    "foreground": 0.3,
    "intensity": {"mean": [100.0], "std": [40.0], "minimum": 0.0, "maximum": 255.0,
                  "between": [10.0], "inside": [38.0]},
    "objects": "foreground",
    "training_pixels": 40 * 512**2,
    "structures": {"objects": 900, "object_area": 700.0, "object_length": 30.0,
                   "smallest_object": 40.0, "foreground_width": 15.0, "background_width": 60.0},
}  # fmt: skip
AUTO = dict.fromkeys(PLANNED, "auto") | {
    "architecture": "Unet",
    "encoder": "resnet34",
    "encoder_weights": None,
    "precision": "auto",
    "minutes": None,
}


@dataclass(frozen=True)
class Machine:
    """A machine with so much memory for a training."""

    gpus: int = 0
    bytes: int | None = 16 * GIB

    def memory(self):
        return self.bytes

    @property
    def halves_outputs(self):
        return self.gpus > 0

    @property
    def name(self):
        return "GPU" if self.gpus else "processor"


def data(**changes):
    """The fingerprint, with values changed in whichever part has them."""
    made = copy.deepcopy(DATA)
    for key, value in changes.items():
        parts = [part for part in (made, made["intensity"], made["structures"]) if key in part]
        parts[0][key] = value
    return made


def plan(fingerprint=DATA, machine=None, shapes=((512, 512),), **explicit):
    return plan_run({**AUTO, **explicit}, fingerprint, shapes, machine or Machine())


def chosen(name, fingerprint=DATA, machine=None, **explicit):
    setting = plan(fingerprint, machine, **explicit)["settings"][name]
    return setting["value"], setting["reason"]


def test_each_planned_setting_has_a_rule_and_is_auto_by_default():
    assert sorted(RULES) == sorted(PLANNED)
    assert {TRAIN[name]["default"] for name in PLANNED} == {"auto"}


def test_a_training_gets_a_number_for_every_setting():
    values = planned_values(plan())
    assert "auto" not in values.values()
    assert values.keys() | {"preset"} == set(PLANNED)
    assert values.keys() <= set(TrainSettings.__dataclass_fields__)


@pytest.mark.parametrize(
    ("foreground", "background", "deep"),
    [
        (45.0, 8.5, True),  # ISBI 2012: cells, and the membranes between them
        (8.5, 45.0, True),
        (10.0, 30.0, True),  # axons
        (2.8, 286.0, False),  # cracks
        (4.0, 100.0, True),
        (3.9, 100.0, False),
        (3.9, 0.0, False),  # that of the background is not known
    ],
)
def test_structures_that_coarse_levels_show_get_heads_on_the_decoder(foreground, background, deep):
    made = data(foreground_width=foreground, background_width=background)
    value, reason = chosen("deep_supervision", made)
    assert value is deep
    assert f"structures are {min(foreground, background or 9)} pixels wide" in reason
    assert chosen("deep_supervision", made, deep_supervision=not deep)[0] is not deep
    assert chosen("deep_supervision", made, architecture="PSPNet")[0] is False


@pytest.mark.parametrize("widths", [(0.0, 0.0), (9.0, 0.0), (0.0, 9.0)])
def test_the_plan_says_so_where_labels_show_no_sizes(widths):
    made = dict(zip(["foreground_width", "background_width"], widths, strict=True))
    made = data(**made, object_length=0.0)
    deep, patch = (chosen(name, made) for name in ("deep_supervision", "patch"))
    assert deep == (False, "no label has both classes, so structures have no width")
    assert patch == (128, "there is no object to measure; 128, a multiple of 32")
    deep, patch = (chosen(name, made | {"ignored": 0.9}) for name in ("deep_supervision", "patch"))
    assert deep == (False, "the widths of structures cannot be measured in partial labels")
    assert patch == (128, "in partial labels no object is known to be whole; 128, a multiple of 32")


@pytest.mark.parametrize(("gpus", "preset"), [(0, "quick"), (1, "standard"), (4, "standard")])
def test_without_a_gpu_the_training_is_short(gpus, preset):
    value, reason = chosen("preset", machine=Machine(gpus))
    assert value == preset
    assert "GPU" in reason


@pytest.mark.parametrize(
    ("length", "side", "gpus", "patch"),
    [
        (10, 512, 0, 128),  # small objects
        (70, 512, 0, 160),
        (123, 512, 0, 256),
        (400, 512, 0, 256),  # as large as a processor takes
        (400, 512, 1, 512),
        (400, 2000, 1, 512),
        (400, 300, 1, 288),  # as the median image
        (30, 96, 0, 96),
        (30, 40, 0, 32),
        (0, 512, 0, 128),  # no object at all
    ],
)
def test_the_patch_follows_objects_and_images(length, side, gpus, patch):
    sides = {"minimum": 32, "median": float(side), "maximum": side}
    made = data(object_length=float(length), height=sides, width={**sides, "median": 5000.0})
    assert chosen("patch", made, Machine(gpus))[0] == patch


def test_a_patch_for_pspnet_has_its_multiple():
    assert chosen("patch", architecture="PSPNet")[0] % 96 == 0


@pytest.mark.parametrize(
    ("changes", "machine", "explicit", "batch", "why"),
    [
        ({}, Machine(), {}, 8, "131,072 pixels a step"),
        ({}, Machine(1, 80 * GIB), {}, 32, "labelled pixels"),  # 64, but a twentieth is 32
        ({"training_pixels": 10**9}, Machine(1, 80 * GIB), {}, 64, "pixels a step"),
        ({"training_pixels": 10**9}, Machine(1, 5 * GIB), {}, 64, "pixels a step"),
        ({"training_pixels": 10**9}, Machine(1, 4 * GIB), {}, 32, "memory decides"),
        ({"training_pixels": 10**9}, Machine(1, None), {}, 64, "pixels a step"),
        ({"training_pixels": 5 * 128**2}, Machine(), {}, 2, "labelled pixels"),
        (
            {},
            Machine(3, 80 * GIB),
            {},
            33,
            "labelled pixels; more would make all batches alike; a multiple of 3 GPUs",
        ),
        ({}, Machine(), {"patch": 256}, 2, "131,072 pixels a step"),
    ],
)
def test_the_batch_follows_the_step_the_pixels_and_the_memory(
    changes, machine, explicit, batch, why
):
    value, reason = chosen("batch", data(**changes), machine, **explicit)
    assert value == batch
    assert why in reason


def test_more_memory_gives_the_same_plan_but_where_it_decides():
    assert plan(machine=Machine(0, 8 * GIB)) == plan(machine=Machine(0, 80 * GIB))


def test_too_little_memory_for_the_smallest_batch_is_told_in_a_sentence():
    told = (
        r"train.batch: even 2 patches of 128 x 128 pixels may need 2.2 GiB, and the processor has"
    )
    with pytest.raises(UserError, match=told):
        plan(machine=Machine(0, 2 * GIB))


@pytest.mark.parametrize(
    ("memory", "explicit", "remedy"),
    [
        (2 * GIB + 1, {}, "set train.patch to a smaller multiple of 32 or train.encoder to a sm"),
        (2 * GIB + 1, {"patch": 32}, "give; set train.encoder to a smaller one such as resnet18."),
        (2 * GIB + 1, {"patch": 32, "encoder": "resnet18"}, "use a machine with more memory."),
        (2 * GIB + 1, {"architecture": "PSPNet"}, "set train.patch to a smaller multiple of 96 or"),
        (GIB, {}, "end other programs, or use a machine with more memory."),
    ],
)
def test_the_remedy_for_too_little_memory_helps(memory, explicit, remedy):
    with pytest.raises(UserError) as refusal:
        plan(machine=Machine(0, memory), **explicit)
    assert remedy in str(refusal.value)


def test_a_batch_or_patch_that_is_set_and_may_not_fit_is_told():
    (warning,) = plan(machine=Machine(0, 8 * GIB), batch=64, patch=256, steps=100)["warnings"]
    assert warning.startswith("train.batch: 64 patches of 256 x 256 pixels may need ")
    assert "the processor has 8.0 to give" in warning
    few = data(training_pixels=64 * 512**2)
    (warning,) = plan(few, Machine(0, 99 * GIB), batch=64, patch=512)["warnings"]
    assert "make the training 4 steps long; expected 50 or more" in warning
    assert warning.endswith("set auto or a smaller batch, or train.steps.")
    ten = {"median": 1024.0, "maximum": 1024}
    few = data(training_pixels=10 * 1024**2, height=ten, width=ten)
    (warning,) = plan(few, Machine(0, 99 * GIB), patch=1024)["warnings"]
    assert warning.startswith("train.patch: 2 patches of 1024 x 1024 pixels make the training 30 ")
    assert warning.endswith("set auto or a smaller patch, or train.steps.")
    small = data(height={"median": 64.0}, width={"median": 80.0})
    (warning,) = plan(small, patch=128)["warnings"]
    assert warning.startswith("train.patch: 128, but the median image has a side of 64 pixels")


@pytest.mark.parametrize(
    ("side", "patch"), [(32, 32), (47, 32), (60, 64), (112, 128), (127, 128), (250, 128)]
)
def test_the_patch_of_a_small_image_is_the_nearest_multiple(side, patch):
    made = data(height={"median": float(side)}, width={"median": 512.0})
    assert chosen("patch", made)[0] == patch


def test_small_images_take_no_endless_steps():
    made = data(height={"median": 60.0}, width={"median": 60.0}, training_pixels=4 * 60**2)
    made = plan(made, Machine(1))["settings"]
    assert made["steps"]["value"] * made["epochs"]["value"] == 25_000
    assert made["steps"]["reason"].endswith("since standard has 25,000 steps at most")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("pixels", [0, 1, 13_000, 2 * 128**2, 10**5, 10**6, 10**9, 10**12])
def test_numbers_are_written_out(name, pixels):
    for setting in plan(data(training_pixels=pixels), preset=name)["settings"].values():
        assert not re.search(r"\de[+-]\d", setting["reason"])


@pytest.mark.parametrize("pixels", [0, 1, 2 * 128**2])
def test_a_step_that_shows_a_small_set_whole_says_so(pixels):
    value, reason = chosen("batch", data(training_pixels=pixels))
    assert value == 2
    assert reason == "a step has as many pixels as are labelled"


@pytest.mark.parametrize(
    ("explicit", "name", "why"),
    [
        ({"steps": 100_000}, "epochs", "quick has, by 1 x 100,000 steps"),
        ({"epochs": 100_000}, "steps", "quick has, by 100,000 x 1 steps"),
        ({"steps": 10**6, "minutes": 20}, "epochs", "best has, by 1 x 1,000,000 steps"),
        ({"steps": 300}, "epochs", "quick has, by 2 x 300 steps"),
        ({"steps": 50}, "epochs", None),
        ({"epochs": 7}, "steps", None),
        ({}, "steps", None),
    ],
)
def test_a_length_beyond_that_of_the_preset_is_not_called_its_own(explicit, name, why):
    settings = plan(**explicit)["settings"]
    steps, epochs, batch, patch = (
        settings[key]["value"] for key in ("steps", "epochs", "batch", "patch")
    )
    views = steps * epochs * batch * patch**2 / DATA["training_pixels"]
    reason = settings[name]["reason"]
    if why is None:
        assert reason.startswith("5.72 views of each labelled pixel, since quick sees 60 million")
    else:
        found = re.search(r"([\d,.]+) views of each labelled pixel, more than", reason)[1]
        assert float(found.replace(",", "")) == pytest.approx(views, rel=0.01)
        assert reason.endswith(why)


@pytest.mark.parametrize("gpus", [0, 1])
def test_minutes_and_no_views_end_a_training(gpus):
    usual = planned_values(plan(machine=Machine(gpus)))
    timed = planned_values(plan(machine=Machine(gpus), minutes=20))
    assert timed["epochs"] > 3 * usual["epochs"]
    assert {**timed, "epochs": usual["epochs"]} == usual
    best = planned_values(plan(machine=Machine(gpus), preset="best"))
    length = timed["epochs"] * timed["steps"] * timed["batch"] * timed["patch"] ** 2
    longest = best["epochs"] * best["steps"] * best["batch"] * best["patch"] ** 2
    assert length == pytest.approx(longest, rel=0.02)
    # What is set stays the most.
    three = planned_values(plan(machine=Machine(gpus), minutes=20, epochs=3))
    assert three == {**usual, "epochs": 3}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("pixels", [1, 4 * 128**2, 40 * 512**2, 10**9, 10**12])
def test_a_training_sees_what_its_preset_says(name, pixels):
    preset = PRESETS[name]
    values = planned_values(plan(data(training_pixels=pixels), preset=name))
    seen = values["steps"] * values["epochs"] * values["batch"] * values["patch"] ** 2
    expected = min(max(preset.views * pixels, preset.least), preset.most)
    an_epoch_more = values["epochs"] * values["batch"] * values["patch"] ** 2
    assert expected <= seen < expected + an_epoch_more + preset.step


@pytest.mark.parametrize(
    ("explicit", "steps", "epochs"),
    [({"steps": 50}, 50, 10), ({"epochs": 7}, 66, 7), ({"steps": 3, "epochs": 2}, 3, 2)],
)
def test_steps_and_epochs_make_the_length_together(explicit, steps, epochs):
    values = planned_values(plan(**explicit))
    assert (values["steps"], values["epochs"]) == (steps, epochs)


@pytest.mark.parametrize("pixels", [1, 10**5, 3 * 10**6, 1_234_567, 10**9])
@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize("minutes", [None, 20])
def test_a_planned_value_that_is_set_changes_no_other(pixels, gpus, minutes):
    made = data(training_pixels=pixels)
    settings = plan(made, Machine(gpus), minutes=minutes)["settings"]
    values = {name: s["value"] for name, s in settings.items()}
    for count in (1, 2, len(values) - 1):
        for names in itertools.combinations(values, count):
            explicit = {name: values[name] for name in names}
            again = plan(made, Machine(gpus), minutes=minutes, **explicit)["settings"]
            assert {name: s["value"] for name, s in again.items()} == values, names


def deciding(machine=None, **explicit):
    """Those of the settings that are set without which the plan would be another."""

    def made(section):
        return plan_run(section, DATA, [(512, 512)], machine or Machine())

    section = {**AUTO, **explicit}
    found = settings_that_decide(section, made(section), made)
    assert planned_values(made(found)) == planned_values(made(section))
    return {name: found[name] for name in explicit if found[name] != "auto"}


def test_settings_that_are_set_as_auto_has_them_decide_nothing():
    explicit = {name: each["value"] for name, each in plan()["settings"].items()}
    assert deciding(**explicit) == {}


def test_steps_and_epochs_that_follow_from_each_other_decide_together():
    """Each alone is what auto makes of the other; without both the plan has others."""
    steps, _ = chosen("steps", epochs=7)
    assert chosen("epochs", steps=steps)[0] == 7 != chosen("epochs")[0]
    assert len(deciding(steps=steps, epochs=7)) == 1


def test_a_batch_without_which_there_is_no_plan_decides():
    machine = Machine(gpus=1, bytes=GIB)
    assert deciding(machine, batch=2) == {"batch": 2}


@pytest.mark.parametrize(
    ("share", "patches"), [(0.004, 0.5), (0.02, 0.33), (0.07, 0), (0.8, 0), (0.0, 0)]
)
def test_the_rarer_foreground_is_the_more_patches_are_on_it(share, patches):
    value, reason = chosen("foreground_patches", data(foreground=share))
    assert value == patches
    assert f"{share:.1%}"[:-2] in reason


@pytest.mark.parametrize(
    ("between", "inside", "normalization"),
    [
        ([10.0], [38.0], "standard"),
        ([40.0], [38.0], "image"),
        ([0.0], [0.0], "standard"),  # all of one grey
        ([5.0], [0.0], "image"),
        ([1.0, 40.0], [38.0, 38.0], "image"),
    ],
)
def test_images_that_differ_are_normalized_by_themselves(between, inside, normalization):
    made = data(between=between, inside=inside)
    assert chosen("normalization", made)[0] == normalization


@pytest.mark.parametrize("name", ["patch", "batch", "foreground_patches", "normalization"])
def test_an_explicit_value_wins(name):
    value = {"patch": 64, "batch": 3, "foreground_patches": 0.9, "normalization": "none"}[name]
    assert chosen(name, **{name: value}) == (value, "set in the configuration")


@pytest.mark.parametrize(
    ("shapes", "explicit", "tile", "reason"),
    [
        ([(512, 500)] * 3, {}, 512, "the largest image, 512 pixels long, is one tile"),
        ([(256, 256)] * 100 + [(600, 600)], {}, 256, "smaller tiles leave fewer pixels over"),
        ([(4000, 6000)], {}, 512, "the largest image is 6000 pixels long; tiles of it have 512"),
        ([(512, 512)], {"architecture": "PSPNet", "patch": 192}, 192, "PSPNet takes tiles"),
    ],
)
def test_the_tile_follows_the_sizes_of_the_images(shapes, explicit, tile, reason):
    setting = plan(shapes=shapes, **explicit)["auto"]["predict.tile"]
    assert setting["value"] == tile
    assert setting["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("side", "sizes", "reason"),
    [
        (64, [4, 8, 16, 32, 64, 128, 256], "doubled up to 256 pixels, more than a speck has"),
        (1024, [4, 8, 16, 32, 64, 128, 256, 512, 1024], "doubled up to a thousandth of the larg"),
    ],
)
def test_larger_images_try_larger_sizes(side, sizes, reason):
    setting = plan(shapes=[(32, 32), (side, side)])["auto"]["decide.sizes"]
    assert setting["value"] == sizes
    assert setting["reason"].startswith(reason)


def test_a_setting_of_another_section_wins_over_what_auto_takes(caplog):
    made = plan()
    with caplog.at_level(logging.INFO, logger="maskmake"):
        assert planned_value(made, "decide.sizes", "auto")[:2] == [4, 8]
        assert planned_value(made, "decide.sizes", []) == []
        log_plan(made, 16 * GIB)
    first, second, *lines = caplog.messages
    assert first == "decide.sizes: [4, 8, 16, 32, 64, 128, 256]; " + lines[-2].split("; ")[1]
    assert second == "decide.sizes: []; set in the configuration"
    assert lines[-3].startswith("predict.tile: auto takes 512; the largest image")
    assert lines[-1] == "memory: a training may take 2.7 GiB; the processor has 16.0 GiB to give"


def test_few_patches_and_images_of_no_common_brightness_are_told():
    made = data(training_pixels=5 * 128**2, between=[200.0], inside=[10.0])
    few, apart = plan(made)["warnings"]
    assert few.startswith("dataset.labels: the labelled pixels of the training images make 5.0 pa")
    assert apart.startswith("dataset.images: images share no brightness")
    assert plan()["warnings"] == []


def test_every_encoder_has_its_memory():
    assert sorted(OUTPUT_BYTES) == sorted(TRAIN["encoder"]["enum"])
    for architecture in TRAIN["architecture"]["enum"]:
        section = {**AUTO, "architecture": architecture, "encoder": "resnet34"}
        four, two = (needed_memory(section, batch, 128, Machine()) for batch in (4, 2))
        assert four > two


def test_a_fingerprint_of_an_earlier_version_is_told():
    old = {key: value for key, value in DATA.items() if key != "structures"}
    with pytest.raises(UserError, match="-R plan"):
        plan(old)


def test_images_that_a_run_cannot_take_are_refused_before_its_training():
    with pytest.raises(UserError, match="kept as float32, whose highest value is not known"):
        plan(data(dtype="float32"), normalization="unit")
    with pytest.raises(UserError, match="the images have 5 channels; expected 1 or 3"):
        plan(data(channels=5), encoder_weights="imagenet")
    assert plan(data(dtype="uint16"), normalization="unit")
    assert plan(data(channels=3), encoder_weights="imagenet")
