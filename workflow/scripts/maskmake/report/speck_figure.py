"""The picture that shows which specks a threshold removes, which a clean-up, and which neither."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from maskmake.data.object_class import object_label
from maskmake.masks.components import find_components
from maskmake.masks.decision import (
    Decision,
    apply_decision,
    object_mask,
    object_probability,
    other_level,
)
from maskmake.masks.objectives import TINY
from maskmake.masks.specks import CAUSES, WINDOW
from maskmake.report import figures, pictures
from maskmake.runtime.errors import printable

# Of Okabe and Ito.
COLOURS = {"threshold": "#009e73", "size": "#cc79a7", "model_or_label": "#d55e00"}
NAMES = {"threshold": "threshold", "size": "size", "model_or_label": "model or label"}
MARKERS = {"object": "o", "hole": "s"}
# At most so many of one kind and cause are drawn; the page holds them as a table, too.
DOTS = 2000
DRAWN = ["kind", "size", "mean_probability", "false", "cause"]  # what the figure shows of a piece


def drawn_pieces(pieces: pd.DataFrame) -> pd.DataFrame:
    """The rows that the figure draws: of each kind and cause at most ``DOTS``, evenly.

    Args:
        pieces: table of ``specks.find_specks``, or what this function made of it.
    """
    groups = pieces.groupby(["cause", "kind"], sort=False)["cause"]
    step = np.ceil(groups.transform("size") / DOTS)
    return pieces[groups.cumcount() % step == 0]


def speck_figure(
    pieces: pd.DataFrame, diagnosis: dict, decision: Decision, crop: dict[str, np.ndarray] | None
) -> Figure:
    """Size against mean probability of all pieces, and the region that shows the most specks.

    Args:
        pieces: table of ``specks.find_specks``.
        diagnosis: contents of ``specks.json``.
        decision: the learned decision, whose lines are drawn.
        crop: pictures of the region with their titles, of ``crop_panels``; None without specks.
    """
    with matplotlib.rc_context(figures.STYLE):
        figure = Figure(figsize=(11, 8.6) if crop else (11, 5))
        grid = figure.add_gridspec(
            1 + bool(crop), 1, height_ratios=[9, 4][: 1 + bool(crop)], hspace=0.28
        )
        plot = grid[0].subgridspec(1, 2, width_ratios=[10, 3])  # beside it is the legend
        _draw_scatter(figure.add_subplot(plot[0]), pieces, diagnosis, decision)
        panels = grid[-1].subgridspec(1, 5, wspace=0.04)
        for place, (title, picture) in enumerate((crop or {}).items()):
            axes = figure.add_subplot(panels[place])
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
            axes.set_title(printable(title), fontsize=9, parse_math=False)
    return figure


def _draw_scatter(axes: Axes, pieces: pd.DataFrame, diagnosis: dict, decision: Decision) -> None:
    """Objects lie on one side of the threshold and holes on the other, so both fit one plot."""
    threshold, (low, high) = _foreground_threshold(decision), diagnosis["free_thresholds"]
    largest = 2 * max(pieces["size"].max(), 100)
    above, below = decision.min_object, decision.min_hole
    if decision.objects == "background":
        above, below = below, above
    # What the clean-up takes away: small objects on their side, small holes on the other.
    for smallest, bottom, top in ((above, threshold, 1.02), (below, -0.02, threshold)):
        if smallest:
            area = Rectangle((0.7, bottom), smallest - 1.2, top - bottom, color=figures.INK)
            axes.add_patch(area).set(alpha=0.13, lw=0)
    axes.plot([], [], "s", ms=9, color=figures.INK, alpha=0.3, label="removed by the clean-up")
    axes.axhspan(low, high, color=COLOURS["threshold"], alpha=0.13, lw=0)
    cheap = f"costs at most {TINY}"
    axes.plot([], [], "s", ms=9, color=COLOURS["threshold"], alpha=0.3, label=cheap)
    axes.axhline(threshold, color=figures.INK, lw=1.2, label=f"threshold {threshold:.3f}")
    axes.axhline(0.5, color=figures.INK, lw=1, ls=":", label="0.5")
    drawn = drawn_pieces(pieces)
    for cause in ["", *CAUSES]:
        truth, name = ("false", f": {NAMES[cause]}") if cause else ("true", "")
        for kind, marker in MARKERS.items():
            dots = drawn[(drawn["cause"] == cause) & (drawn["kind"] == kind)]
            axes.plot(
                dots["size"],
                dots["mean_probability"],
                marker,
                ms=5 if cause else 3.5,
                mfc=COLOURS.get(cause, "none"),
                mec=COLOURS.get(cause, figures.INK),
                mew=0.5,
                alpha=0.65 if cause else 0.5,
                rasterized=True,  # thousands of dots would be megabytes of SVG
                label=f"{truth} {kind}{name}",
            )
    axes.set_xscale("log")
    axes.set(xlabel="size (pixels)", ylabel="mean probability")
    axes.set(xlim=(0.7, largest), ylim=(-0.02, 1.02))
    figures.plain_numbers(axes.xaxis, "{x:,.0f}")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=1.2)


def crop_panels(
    image: np.ndarray,
    label: np.ndarray,
    probability: np.ndarray,
    worst: dict,
    decision: Decision,
) -> dict[str, np.ndarray]:
    """Pictures of the region around the worst specks, under their titles.

    Args:
        image: (H, W) or (H, W, 3), any unsigned type.
        label: (H, W), 0, 1 or 255.
        probability: (H, W) ``float16``, 0 to 1.
        worst: image, row and column of the middle.
        decision: the learned decision.
    """
    window = tuple(
        slice(start := max(0, min(middle - WINDOW // 2, length - WINDOW)), start + WINDOW)
        for middle, length in zip((worst["row"], worst["column"]), label.shape, strict=True)
    )
    objects = decision.objects
    found_objects = object_probability(probability, objects) > decision.threshold
    found = find_components(found_objects, object_label(label, objects))
    false = found.is_false[found.pieces]
    before = object_mask(found_objects, objects)
    after = apply_decision(probability, decision)
    return {
        f"image {worst['image']}": pictures.stretched(image[window]),
        "label": pictures.label_picture(label[window]),
        "probability": (probability[window].astype(np.float32) * 255).astype(np.uint8),
        f"mask at {_foreground_threshold(decision):.3f}": _painted(before[window], false[window]),
        "mask as decided": _painted(after[window], (false & (after == before))[window]),
    }


def _foreground_threshold(decision: Decision) -> float:
    return other_level(decision.threshold, decision.objects)


def _painted(mask: np.ndarray, false: np.ndarray) -> np.ndarray:
    """A mask with its false pieces, of both classes, in the colours of the report's error maps."""
    picture = np.stack([mask * np.uint8(255)] * 3, axis=2)
    picture[false & mask] = pictures.FALSE
    picture[false & ~mask] = pictures.MISSED
    return picture
