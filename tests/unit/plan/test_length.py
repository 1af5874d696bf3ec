"""How long a training is: its preset, its steps and epochs, and its minutes."""

import re

import pytest
from planning import DATA, Machine, chosen, data, plan

from maskmake.plan.presets import PRESETS
from maskmake.plan.run_plan import planned_values


@pytest.mark.parametrize(("gpus", "preset"), [(0, "quick"), (1, "standard"), (4, "standard")])
def test_without_a_gpu_the_training_is_short(gpus, preset):
    value, reason = chosen("preset", machine=Machine(gpus))
    assert value == preset
    assert "GPU" in reason


def test_small_images_take_no_endless_steps():
    made = data(height={"median": 60.0}, width={"median": 60.0}, training_pixels=4 * 60**2)
    made = plan(made, Machine(1))["settings"]
    assert made["steps"]["value"] * made["epochs"]["value"] == 25_000
    assert made["steps"]["reason"].endswith("since standard has 25,000 steps at most")


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
