"""Figures of the report: curves as SVG, and sheets of pictures as PNG.

Colours are taken from colour-blind-safe palettes and are of middle lightness, so that a figure
without a background reads on white as well as on black.
"""

import io
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.ticker import LogLocator, NullFormatter

from maskmake.masks.decision import LearnedDecision
from maskmake.runtime.errors import printable
from maskmake.runtime.files import without_formulas

INK = "#6b7482"  # text and axes
# Of Okabe and Ito.
FOREGROUND = "#0072b2"
BACKGROUND = "#d55e00"
TRAINING = "#d55e00"
VALIDATION = "#0072b2"

DOTS_LIMIT = 200  # with more images than this a box alone stands for them
PANEL_INCHES = (5.6, 4.4)

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "maskmake",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}


def svg(figure: Figure) -> str:
    """SVG document of a figure; the same figure gives the same text."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata=NO_METADATA)
    return buffer.getvalue()


class Shown(NamedTuple):
    """A figure in the page, and what a reader can save of it.

    Attributes:
        element: SVG element, as wide as its place and inked in the colour of the text.
        saves: the figure as SVG and PNG and its data as CSV: title, file name and ``data:``
            address.
    """

    element: Markup
    saves: list[tuple[str, str, str]]


def shown(name: str, figure: Figure, description: str, data: pd.DataFrame) -> Shown:
    """A figure for the page.

    Args:
        name: of the files that it is saved as, without a suffix.
        figure: the figure.
        description: what a screen reader says.
        data: what the figure draws.
    """
    return shown_files(name, svg(figure), png(figure), description, data)


def shown_files(
    name: str, document: str, picture: bytes, description: str, data: pd.DataFrame
) -> Shown:
    """A figure that an earlier stage drew, as an SVG document and a PNG file; see ``shown``."""
    guarded = without_formulas(data)
    table = guarded.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
    files = {
        "SVG": (document.encode(), "image/svg+xml"),
        "PNG": (picture, "image/png"),
        "CSV": (table, "text/csv"),
    }
    saves = [
        (title, f"{name}.{title.lower()}", f"data:{kind};base64,{b64encode(content).decode()}")
        for title, (content, kind) in files.items()
    ]
    return Shown(Markup(_inline(document, description)), saves)


def _inline(document: str, description: str) -> str:
    element = document[document.index("<svg") :]
    # Ids of groups repeat from figure to figure, and nothing refers to them.
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    element = element.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
    return element.replace(INK, "currentColor")


def png(figure: Figure) -> bytes:
    """PNG file of a figure on white; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(
            buffer,
            format="png",
            bbox_inches="tight",
            facecolor="white",
            metadata={"Software": None},
        )
    return buffer.getvalue()


def training_figure(folds_of_runs: Mapping[str, Sequence[tuple[pd.DataFrame, int]]]) -> Figure:
    """Loss and learning rate over the epochs, one panel a run.

    Args:
        folds_of_runs: for each run and fold, the table of ``history.csv`` and its best epoch.
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(folds_of_runs))
        for panel, (run, folds) in zip(panels, folds_of_runs.items(), strict=True):
            grid = panel.subgridspec(2, 1, height_ratios=[3, 1])
            loss_axes, rate_axes = grid.subplots(sharex=True, squeeze=False).ravel()
            _draw_title(loss_axes, run, folds_of_runs)
            _draw_losses(loss_axes, folds)
            for history, _ in folds:
                rate_axes.plot(
                    history["epoch"], history["learning_rate"], color=INK, **_line(history)
                )
            rate_axes.set(xlabel="epoch", ylabel="learning\nrate", ylim=(0, None))
            rate_axes.yaxis.set_major_formatter("{x:g}")
            rate_axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _draw_title(axes: Axes, run: str, runs: Mapping) -> None:
    if len(runs) > 1:
        axes.set_title(run, loc="left", fontweight="bold", pad=36)  # above the legend


def _draw_losses(axes: Axes, folds: Sequence[tuple[pd.DataFrame, int]]) -> None:
    for fold, (history, best_epoch) in enumerate(folds):
        labels = ["training", "validation", "best epoch"] if fold == 0 else [None] * 3
        epochs, style = history["epoch"], _line(history)
        axes.plot(epochs, history["loss"], color=TRAINING, ls="--", label=labels[0], **style)
        axes.plot(epochs, history["val_loss"], color=VALIDATION, label=labels[1], **style)
        best = history.loc[epochs == best_epoch]
        axes.plot(best["epoch"], best["val_loss"], "o", ms=6, color=VALIDATION, label=labels[2])
    losses = pd.concat([history for history, _ in folds])[["loss", "val_loss"]].to_numpy(float)
    finite = losses[np.isfinite(losses)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")
        plain_numbers(axes.yaxis)
    axes.set_ylabel("loss")
    axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)


def plain_numbers(axis: Axis, form: str = "{x:g}") -> None:
    """Name the powers of ten on a logarithmic axis, or 1, 2 and 5 of each where few are in it.

    Matplotlib would write formulas between the powers, one over the other in a small panel.
    """
    low, high = np.log10(axis.get_view_interval())
    powers = np.floor(high) - np.ceil(low) + 1
    axis.set_major_locator(LogLocator(subs=[1] if powers > 1 else [1, 2, 5]))
    axis.set_major_formatter(form)
    axis.set_minor_formatter(NullFormatter())


def _line(history: pd.DataFrame) -> dict:
    """A single epoch makes no line, so it gets a dot."""
    return {"lw": 1.4, "marker": "." if len(history) == 1 else None}


def threshold_figure(
    decisions: Mapping[str, LearnedDecision],
    objective_names: Mapping[str, str],
    reliabilities: Mapping[str, pd.DataFrame],
) -> Figure:
    """Scores over the threshold, and precision over recall, one panel a run.

    Args:
        decisions: for each run, the contents of ``decision.json``, of validation images.
        objective_names: what the legend calls each objective.
        reliabilities: for each run, the table of ``reliability.csv``, of test images.
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(decisions), height=1.45)
        for panel, (run, decision) in zip(panels, decisions.items(), strict=True):
            grid = panel.subgridspec(2, 1, height_ratios=[3, 2.2], hspace=0.42)
            axes, recall_axes = grid.subplots(squeeze=False).ravel()
            _draw_title(axes, run, decisions)
            _draw_decision(axes, decision, objective_names[decision["objective"]])
            _draw_precision(recall_axes, precision_recall(reliabilities[run]), decision)
    return figure


def precision_recall(reliability: pd.DataFrame) -> pd.DataFrame:
    """Precision and recall of pixels at the thresholds between the bins of a reliability table.

    Args:
        reliability: table of ``reliability.csv``.

    Returns:
        Rows of ``threshold, precision, recall``; precision is NaN where no pixel is left.
    """
    bins = reliability[reliability["probabilities"] == "raw"].fillna(0.0)
    true = (bins["pixels"] * bins["frequency"]).to_numpy()[::-1].cumsum()[::-1]
    marked = bins["pixels"].to_numpy()[::-1].cumsum()[::-1]
    with np.errstate(invalid="ignore"):
        table = {"threshold": bins["low"], "precision": true / marked, "recall": true / true[0]}
    return pd.DataFrame(table)


def _draw_precision(axes: Axes, curve: pd.DataFrame, decision: LearnedDecision) -> None:
    axes.plot(curve["recall"], curve["precision"], color=FOREGROUND, marker=".", lw=1.4)
    chosen, thresholds = decision["threshold"], curve["threshold"]
    inside = thresholds.iloc[1] <= chosen <= thresholds.iloc[-1]
    # A network that is sure has most pixels in the two outer bins, where no line shows its curve.
    at = [
        np.interp(chosen, thresholds, curve[name].ffill()) if inside else np.nan
        for name in ("recall", "precision")
    ]
    where = "" if inside else f": {chosen:.3f}, off the curve"
    axes.plot(*at, "o", ms=7, color=INK, label=f"chosen threshold{where}")
    axes.set(xlabel="recall (test pixels)", ylabel="precision", xlim=(-0.02, 1.02))
    axes.legend(loc="lower left")


def _draw_decision(axes: Axes, decision: LearnedDecision, objective: str) -> None:
    curve = {name: np.array(values, dtype=float) for name, values in decision["curve"].items()}
    thresholds, chosen = curve["threshold"], decision["threshold"]
    axes.axvline(0.5, color=INK, lw=1, ls=":", label="0.5")
    axes.axvline(chosen, color=INK, lw=1.2, label=f"chosen: {chosen:.3f}")
    axes.plot(thresholds, curve["foreground_dice"], color=FOREGROUND, label="foreground Dice")
    axes.plot(thresholds, curve["background_dice"], color=BACKGROUND, label="background Dice")
    axes.plot(thresholds, curve["objective"], color=INK, lw=2.4, label=objective)
    at_chosen = np.argmin(np.abs(thresholds - chosen))
    axes.plot(chosen, curve["objective"][at_chosen], "o", ms=7, color=INK)
    axes.set(xlabel="threshold of the probability", ylabel="score (validation)", xlim=(0, 1))
    axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)


def scores_figure(per_image: Mapping[str, pd.DataFrame]) -> Figure:
    """Foreground and background Dice of each test image, one row a run.

    Args:
        per_image: for each run, the table of ``per_image.csv``.
    """
    with matplotlib.rc_context(STYLE):
        height = 1.3 + 0.62 * len(per_image)
        figure = Figure(figsize=(PANEL_INCHES[0], height))
        axes = figure.subplots()
        for row, scores in enumerate(per_image.values()):
            _draw_distribution(axes, scores["foreground_dice"], row - 0.18, FOREGROUND)
            _draw_distribution(axes, scores["background_dice"], row + 0.18, BACKGROUND)
        for name, colour in (("foreground", FOREGROUND), ("background", BACKGROUND)):
            axes.plot([], [], "s", color=colour, label=name)
        axes.set_yticks(range(len(per_image)), list(per_image))
        axes.set(ylim=(len(per_image) - 0.5, -0.5), xlabel="Dice of a test image")
        axes.grid(axis="y", visible=False)
        axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    return figure


def _draw_distribution(axes: Axes, values: pd.Series, position: float, colour: str) -> None:
    values = values.dropna().to_numpy()
    axes.boxplot(
        values,
        positions=[position],
        widths=0.26,
        orientation="horizontal",
        whis=(0, 100),
        manage_ticks=False,
        boxprops={"color": colour, "alpha": 0.6},
        whiskerprops={"color": colour, "alpha": 0.6},
        capprops={"visible": False},
        medianprops={"color": colour, "lw": 2.5},
    )
    if len(values) <= DOTS_LIMIT:
        axes.plot(values, np.full(len(values), position), "o", ms=4, color=colour, alpha=0.75)


def reliability_figure(reliabilities: Mapping[str, pd.DataFrame]) -> Figure:
    """Share of foreground over the probability, before and after calibration, one panel a run.

    Args:
        reliabilities: for each run, the table of ``reliability.csv``.
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(reliabilities))
        for panel, (run, table) in zip(panels, reliabilities.items(), strict=True):
            grid = panel.subgridspec(2, 1, height_ratios=[3, 1])
            axes, share_axes = grid.subplots(sharex=True, squeeze=False).ravel()
            _draw_title(axes, run, reliabilities)
            axes.plot([0, 1], [0, 1], color=INK, lw=1, ls=":", label="honest")
            for name, colour, dashes in (("raw", TRAINING, "--"), ("calibrated", VALIDATION, "-")):
                bins = table[table["probabilities"] == name]
                axes.plot(
                    bins["mean_probability"],
                    bins["frequency"],
                    color=colour,
                    ls=dashes,
                    marker="o",
                    ms=4,
                    label=name,
                )
                edges = [*bins["low"], bins["high"].iloc[-1]]
                shares = bins["pixels"] / bins["pixels"].sum()
                share_axes.stairs(shares, edges, baseline=None, color=colour, ls=dashes, lw=1.4)
            axes.set(ylabel="share of foreground", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            share_axes.set(xlabel="probability", ylabel="share\nof pixels", yscale="log")
            plain_numbers(share_axes.yaxis)
            axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    return figure


def picture_figure(rows: Sequence[Sequence[tuple[np.ndarray, str]]]) -> Figure:
    """Grid of pictures with their titles; a row may be shorter than the longest one."""
    columns = max(len(row) for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * columns, 2.9 * len(rows)))
        grid = figure.subplots(
            len(rows), columns, squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.12}
        )
        for axes in grid.flat:
            axes.set_axis_off()
        for axes_row, row in zip(grid, rows, strict=True):
            for axes, (picture, title) in zip(axes_row, row, strict=False):
                axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
                axes.set_title(
                    printable(title), loc="left", fontsize=8, color="black", parse_math=False
                )
    return figure


def _panels(count: int, height: float = 1) -> tuple[Figure, list[SubplotSpec]]:
    """Places of one plot a run, two in a row, so many times as high as usual.

    The places are fixed, since the solver behind matplotlib's constrained layout does not give
    the same positions to the last digit every time.
    """
    columns = min(count, 2)
    rows = -(-count // columns)
    width, usual = PANEL_INCHES
    figure = Figure(figsize=(columns * width, rows * usual * height))
    grid = figure.add_gridspec(rows, columns, wspace=0.24, hspace=0.55)
    return figure, [grid[place] for place in range(count)]
