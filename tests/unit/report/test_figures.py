"""Figures with a logarithmic axis: plain numbers, at least two, and none over another."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from maskmake.report import figures
from maskmake.scores.calibration import CALIBRATION_BINS


def share_axis(spread):
    """The axis of shares of pixels, the highest so many times the lowest; all in one bin for 0."""
    shares = np.zeros(CALIBRATION_BINS)
    shares[-1] = 1
    if spread:
        shares = np.geomspace(1, spread, CALIBRATION_BINS)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = {"low": edges[:-1], "high": edges[1:], "pixels": shares}
    bins |= {"mean_probability": (edges[:-1] + edges[1:]) / 2, "frequency": edges[:-1]}
    table = pd.concat(
        [pd.DataFrame(bins).assign(probabilities=name) for name in ("raw", "calibrated")]
    )
    figure = figures.reliability_figure({"unet": table})
    return figure, figure.axes[1].yaxis


def loss_axis(spread):
    losses = np.geomspace(spread, 1, 9)
    history = pd.DataFrame({"epoch": range(1, 10), "loss": losses, "val_loss": losses})
    figure = figures.training_figure({"unet": [(history.assign(learning_rate=1e-3), 9)]})
    return figure, figure.axes[0].yaxis


@pytest.mark.parametrize(
    ("threshold", "legend"),
    [
        (0.4, "chosen threshold"),
        (0.02, "chosen threshold: 0.020, off the curve"),
        (0.98, "chosen threshold: 0.980, off the curve"),
    ],
)
def test_a_threshold_that_the_curve_does_not_reach_has_no_dot(threshold, legend):
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bins = {"low": edges[:-1], "pixels": 1.0, "frequency": edges[:-1], "probabilities": "raw"}
    curve = {name: [0.5, 0.8] for name in ("foreground_dice", "background_dice", "objective")}
    decision = {"threshold": threshold, "objective": "dice", "curve": curve, "upper": None}
    decision["curve"] |= {"threshold": [0.3, 0.6]}
    drawn = figures.threshold_figure(
        {"unet": decision}, {"dice": "Dice"}, {"unet": pd.DataFrame(bins)}
    )
    (dot,) = (line for line in drawn.axes[1].lines if line.get_label() == legend)
    assert np.isfinite(dot.get_xydata()).all() == (legend == "chosen threshold")


@pytest.mark.parametrize(
    ("make", "spread"),
    [
        *((share_axis, spread) for spread in (0, 3, 20, 95, 1e3, 1e6)),
        *((loss_axis, spread) for spread in (12, 50, 1e6)),
    ],
)
def test_the_numbers_of_a_logarithmic_axis_can_be_read(make, spread):
    figure, axis = make(spread)
    assert "<tspan" not in figures.svg(figure)  # what a formula would be
    FigureCanvasAgg(figure).draw()
    low, high = axis.get_view_interval()
    shown = [
        label.get_window_extent()
        for ticks in (axis.get_major_ticks(), axis.get_minor_ticks())
        for label, place in ((tick.label1, tick.get_loc()) for tick in ticks)
        if label.get_text() and low <= place <= high
    ]
    assert len(shown) >= 2
    shown.sort(key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 for lower, upper in pairwise(shown))
