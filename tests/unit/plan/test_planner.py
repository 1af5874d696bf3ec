"""The plan as a whole: which settings decide it, its warnings, its refusals, its log."""

import itertools
import logging

import pytest
from planning import AUTO, DATA, GIB, Machine, chosen, data, plan

from maskmake.network.settings import PLANNED, TrainSettings
from maskmake.plan.planner import log_plan, plan_run, settings_that_decide
from maskmake.plan.run_plan import planned_value, planned_values
from maskmake.runtime.errors import UserError


def test_a_training_gets_a_number_for_every_setting():
    values = planned_values(plan())
    assert "auto" not in values.values()
    assert values.keys() | {"preset"} == set(PLANNED)
    assert values.keys() <= set(TrainSettings.__dataclass_fields__)


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


@pytest.mark.parametrize("name", ["patch", "batch", "foreground_patches", "normalization"])
def test_an_explicit_value_wins(name):
    value = {"patch": 64, "batch": 3, "foreground_patches": 0.9, "normalization": "none"}[name]
    assert chosen(name, **{name: value}) == (value, "set in the configuration")


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
