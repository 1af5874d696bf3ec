"""The learning rate at given steps; the average of the weights and its exchange."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from maskmake.train.optimizers import build_optimizer, exchange_averages

PEAK = 0.01
DEFAULTS = {"optimizer": "adamw", "learning_rate": PEAK, "schedule": "cosine", "warmup": 0}


def optimizer_of(**changes):
    """The optimiser of a training of twenty steps."""
    settings = SimpleNamespace(**{**DEFAULTS, "ema": None, "steps": 5, "epochs": 4, **changes})
    return build_optimizer(settings)


def rates(schedule, warmup):
    """The rate at each of twenty steps and at the end."""
    optimizer = optimizer_of(schedule=schedule, warmup=warmup)
    optimizer.build([])
    found = []
    for step in range(21):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return np.array(found)


@pytest.mark.parametrize("warmup", [0, 0.25, 0.5])
@pytest.mark.parametrize(
    ("schedule", "share"),
    [
        ("cosine", lambda done: (1 + np.cos(np.pi * done)) / 2),
        ("polynomial", lambda done: (1 - done) ** 0.9),
        ("constant", np.ones_like),
    ],
)
def test_the_rate_rises_to_its_highest_and_follows_its_schedule(schedule, share, warmup):
    rising = int(20 * warmup)
    rise = np.arange(1, rising + 1) / max(rising, 1)
    fall = share(np.linspace(0, 1, 21 - rising))
    expected = PEAK * np.concatenate([rise, fall])
    np.testing.assert_allclose(rates(schedule, warmup), expected, rtol=1e-4, atol=1e-9)


def test_a_warmup_of_less_than_a_step_is_none():
    np.testing.assert_array_equal(rates("cosine", 0.04), rates("cosine", 0))


@pytest.fixture
def averaging():
    """A weight that three steps of rate 1 took from 8 to 7, 5 and 1, and its optimiser."""
    weight = keras.Variable(np.full((2, 2), 8.0, "float32"))
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
    optimizer.build([weight])
    for gradient in (1.0, 2.0, 4.0):
        optimizer.apply([keras.ops.full((2, 2), gradient)])
    return weight, optimizer


def test_the_averages_take_the_place_of_the_weights_and_back(averaging):
    weight, optimizer = averaging
    exchange_averages(optimizer)
    # It starts at the first weights that were trained.
    average = 0.75 * (0.75 * 7 + 0.25 * 5) + 0.25 * 1
    np.testing.assert_allclose(weight.numpy(), average)
    exchange_averages(optimizer)
    np.testing.assert_array_equal(weight.numpy(), 1.0)


def test_an_exchange_loses_no_bit():
    weight = keras.Variable(np.array([1e-8, 1e8, np.float32(1 / 3)], "float32"))
    optimizer = keras.optimizers.SGD(use_ema=True)
    optimizer.build([weight])
    optimizer._model_variables_moving_average[0].assign([1e8, 1e-8, 3.0])
    before = weight.numpy()
    exchange_averages(optimizer)
    np.testing.assert_array_equal(weight.numpy(), np.array([1e8, 1e-8, 3.0], "float32"))
    exchange_averages(optimizer)
    np.testing.assert_array_equal(weight.numpy(), before)


@pytest.mark.parametrize(
    ("name", "keras_class"), [("adamw", keras.optimizers.AdamW), ("adam", keras.optimizers.Adam)]
)
def test_an_optimiser_takes_the_steps_of_the_one_of_keras(name, keras_class):
    random = np.random.default_rng(0)
    starts = [random.normal(size=shape).astype("float32") for shape in [(3, 3, 2, 5), (5,)]]
    gradients = [
        [random.normal(size=start.shape).astype("float32") for start in starts] for _ in range(20)
    ]

    def trained(optimizer):
        weights = [keras.Variable(start) for start in starts]
        optimizer.build(weights)
        for step in gradients:
            optimizer.apply(step)
        return [weight.numpy() for weight in weights]

    expected = trained(keras_class(keras.optimizers.schedules.CosineDecay(PEAK, 20)))
    for ours, theirs, start in zip(
        trained(optimizer_of(optimizer=name)), expected, starts, strict=True
    ):
        assert np.abs(theirs - start).max() > 0.01
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_the_average_is_a_setting_of_every_optimiser(name):
    assert not optimizer_of(optimizer=name).use_ema
    averaging = optimizer_of(optimizer=name, ema=0.9)
    assert (averaging.use_ema, averaging.ema_momentum) == (True, 0.9)
