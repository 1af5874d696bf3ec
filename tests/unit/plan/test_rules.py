"""What the rules of the plan choose, by constructed fingerprints and machines."""

import re

import pytest
from planning import GIB, TRAIN, Machine, chosen, data, plan

from maskmake.network.settings import PLANNED
from maskmake.plan.presets import PRESETS
from maskmake.plan.rules import RULES


def test_each_planned_setting_has_a_rule_and_is_auto_by_default():
    assert sorted(RULES) == sorted(PLANNED)
    assert {TRAIN[name]["default"] for name in PLANNED} == {"auto"}


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


@pytest.mark.parametrize(
    ("side", "patch"), [(32, 32), (47, 32), (60, 64), (112, 128), (127, 128), (250, 128)]
)
def test_the_patch_of_a_small_image_is_the_nearest_multiple(side, patch):
    made = data(height={"median": float(side)}, width={"median": 512.0})
    assert chosen("patch", made)[0] == patch


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
