"""Why false objects and holes are in the masks of a run, and what would remove them."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from maskmake.components import TRUE_SHARE, Components, find_components
from maskmake.decision import cut, stored_decision
from maskmake.glossary import CAUSES, OBJECTIVES, counted
from maskmake.objectives import TINY

KINDS = {"object": "objects", "hole": "holes"}
WINDOW = 128  # pixels a side of the region that shows the most specks

# Lowest value of each class that components are counted in.
LARGE = 256
SIZES = (1, 4, 8, 16, 32, 64, 128, LARGE)
PROBABILITIES = tuple(tenth / 10 for tenth in range(10))
OVERLAPS = (0, 0.1, 0.2, 0.3, 0.4)

Cases = Callable[[], Iterable[tuple[str, np.ndarray, np.ndarray]]]


def find_specks(cases: Cases, told: dict) -> pd.DataFrame:
    """Every object and hole of the thresholded, uncleaned probabilities, and the false ones' cause.

    A piece is false if less than half of its pixels are of its class in the label. The masks are
    cut at the learned threshold; false pieces of the masks at 0.5 that this threshold removes are
    added. The cause of a false piece is ``threshold`` if it is gone at a threshold that costs no
    more than 0.002 of the objective; else ``size`` if the learned clean-up removes it or if it is
    smaller than 256 pixels and than every true piece of its kind; else ``model_or_label``.

    Args:
        cases: gives id, probability (H, W) ``float16`` 0 to 1 and label (H, W) ``uint8`` 0 or 1 of
            each validation image.
        told: the contents of ``decision.json``.

    Returns:
        One row a piece: id (of the image), kind (object or hole), row and column of its centre,
        size in pixels, mean_probability, overlap (share of its pixels that are of its class in the
        label), threshold (at which it was cut), cleaned (whether the learned clean-up removes it),
        false, and cause (empty if true).
    """
    low, high = free_thresholds(told)
    tables = []
    for image_id, probability, label in cases():
        found = [_pieces(probability, label, told, told["threshold"], low, high)]
        if told["threshold"] != 0.5:
            at_half = _pieces(probability, label, told, 0.5, told["threshold"], told["threshold"])
            found.append(at_half[at_half["false"] & at_half["free"]])
        tables += [table.assign(id=image_id) for table in found]
    pieces = pd.concat(tables, ignore_index=True)
    smallest_true = pieces[~pieces["false"]].groupby("kind")["size"].min()
    smallest_true = pieces["kind"].map(smallest_true).fillna(LARGE).clip(upper=LARGE)
    small = pieces["cleaned"] | (pieces["size"] < smallest_true)
    cause = np.select(
        [~pieces["false"], pieces["free"], small], ["", *CAUSES][:3], "model_or_label"
    )
    columns = ["id", "kind", "row", "column", "size", "mean_probability", "overlap", "threshold"]
    return pieces.assign(cause=cause)[[*columns, "cleaned", "false", "cause"]]


def free_thresholds(told: dict) -> tuple[float, float]:
    """Lowest and highest threshold that cost no more than 0.002, the learned one included.

    Args:
        told: the contents of ``decision.json``.
    """
    scores = np.array(told["curve"]["objective"], float)
    free = np.array(told["curve"]["threshold"])[scores >= told["score_uncleaned"] - TINY]
    return float(min(free.min(), told["threshold"])), float(max(free.max(), told["threshold"]))


def _pieces(
    probability: np.ndarray,
    label: np.ndarray,
    told: dict,
    threshold: float,
    low: float,
    high: float,
) -> pd.DataFrame:
    """The objects and holes at a threshold; ``free`` if ``high`` or ``low`` removes the piece."""
    mask = probability > threshold
    found = find_components(mask, label)
    kept = _pixels(found, np.where(mask, probability > high, probability <= low))
    decision = stored_decision(told)
    # An object goes by its size; a hole is filled after objects in it have joined it.
    left = _pixels(found, ~cut(probability, decision))
    cleaned = np.where(found.is_object, found.sizes < decision.min_object, left == 0)
    rows, columns = np.indices(mask.shape)
    return pd.DataFrame(
        {
            "kind": np.where(found.is_object, "object", "hole"),
            "row": (_pixels(found, rows) / found.sizes).round().astype(int),
            "column": (_pixels(found, columns) / found.sizes).round().astype(int),
            "size": found.sizes,
            "mean_probability": _pixels(found, probability) / found.sizes,
            "overlap": found.overlaps,
            "threshold": threshold,
            "cleaned": cleaned,
            "false": found.overlaps < TRUE_SHARE,
            "free": kept == 0,
        }
    )


def _pixels(found: Components, values: np.ndarray) -> np.ndarray:
    """Sum of the values over each piece."""
    return np.bincount(found.pieces.ravel(), values.ravel(), minlength=found.sizes.size)


def diagnose(pieces: pd.DataFrame, told: dict) -> dict:
    """Counts of the false pieces and a verdict in words.

    Args:
        pieces: table of ``find_specks``.
        told: the contents of ``decision.json``.

    Returns:
        The contents of ``specks.json``: verdict (none, or the most frequent cause), sentences (the
        verdict in words), components and false ones (of both kinds), free_thresholds (lowest and
        highest), causes (count of each), by_size, by_probability and by_overlap (one row a class:
        its lowest value, objects, holes, and each cause), worst (image, row and column of the
        middle of the region that shows the most of the verdict's specks; null without any).
    """
    false = pieces[pieces["false"]]
    causes = {cause: int((false["cause"] == cause).sum()) for cause in CAUSES}
    verdict = max(causes, key=causes.get) if len(false) else "none"
    return {
        "verdict": verdict,
        "sentences": _sentences(pieces, false, causes, verdict, told),
        "components": len(pieces),
        "false": len(false),
        "free_thresholds": free_thresholds(told),
        "causes": causes,
        "by_size": _classes(false, "size", SIZES),
        "by_probability": _classes(false, "mean_probability", PROBABILITIES),
        "by_overlap": _classes(false, "overlap", OVERLAPS),
        "worst": _worst(false[false["cause"] == verdict], verdict) if len(false) else None,
    }


def _classes(false: pd.DataFrame, column: str, lowest: tuple) -> list[dict]:
    place = np.searchsorted(lowest, false[column], side="right") - 1
    rows = []
    for number, start in enumerate(lowest):
        inside = false[place == number]
        rows.append(
            {
                "from": start,
                **{many: int((inside["kind"] == one).sum()) for one, many in KINDS.items()},
                **{cause: int((inside["cause"] == cause).sum()) for cause in CAUSES},
            }
        )
    return rows


def _worst(specks: pd.DataFrame, verdict: str) -> dict:
    """Where to look: at the largest mistake of the model, else at the densest specks."""
    weights = specks["size"]
    if verdict != "model_or_label":
        weights = pd.Series(0, specks.index)
        for _, table in specks.groupby("id"):
            points = table[["row", "column"]].to_numpy(float)
            near = KDTree(points).query_ball_point(points, WINDOW / 2, np.inf, return_length=True)
            weights[table.index] = near
    row = specks.loc[weights.idxmax()]
    return {"image": row["id"], "row": int(row["row"]), "column": int(row["column"])}


def _sentences(
    pieces: pd.DataFrame, false: pd.DataFrame, causes: dict, verdict: str, told: dict
) -> list[str]:
    """The verdict first, then what there is beside it."""
    at = f"on validation images at threshold {told['threshold']:.3f}"
    if verdict == "none":
        return [f"No specks: none of the {counted(len(pieces), 'object')} and holes {at} is false."]
    words = {"threshold": _threshold_words, "size": _size_words, "model_or_label": _model_words}
    total = counted(len(false), "false component")
    ordered = sorted(CAUSES, key=lambda cause: (cause != verdict, -causes[cause]))
    return [
        (f"A {CAUSES[cause][0]} problem: " if cause == verdict else "Beside it, ")
        + f"{causes[cause]} of the {total} "
        + words[cause](false[false["cause"] == cause], pieces, told)
        for cause in ordered
        if causes[cause]
    ]


def _threshold_words(mine: pd.DataFrame, pieces: pd.DataFrame, told: dict) -> str:
    gone = [
        f"{counted(number, kind)} at {level:.3f}"
        for kind, level in zip(KINDS, reversed(free_thresholds(told)), strict=True)
        if (number := int((mine["kind"] == kind).sum()))
    ]
    learned = int((mine["threshold"] != told["threshold"]).sum())
    return (
        f"are unsure and gone at thresholds that cost {TINY} of {OBJECTIVES[told['objective']]} or "
        f"less: {' and '.join(gone)} ({learned} of them are in the masks at 0.5 and gone at the "
        f"learned {told['threshold']:.3f} already)."
    )


def _size_words(mine: pd.DataFrame, pieces: pd.DataFrame, told: dict) -> str:
    means = [
        f"{many} of mean probability {table['mean_probability'].mean():.2g}"
        for one, many in KINDS.items()
        if len(table := mine[mine["kind"] == one])
    ]
    cleaned = pieces[pieces["cleaned"]]
    removed = int((mine["cleaned"]).sum())
    if removed:
        cure = (
            f"the learned clean-up (objects below {told['min_object']}, holes below "
            f"{told['min_hole']} pixels) removes {removed} of them, and "
            f"{counted(int((~cleaned['false']).sum()), 'true component')}."
        )
    else:
        cure = f"only a clean-up by size could remove them. {told['clean_up_reason']}"
    return (
        f"are small and too sure for a threshold ({' and '.join(means)}; median "
        f"{mine['size'].median():.0f} pixels, largest {mine['size'].max()}): {cure}"
    )


def _model_words(mine: pd.DataFrame, pieces: pd.DataFrame, told: dict) -> str:
    true = pieces[~pieces["false"]]
    small, kinds = mine[mine["size"] < LARGE], true["kind"]
    reasons = []
    if len(small):
        costs = sum(
            int((true.loc[kinds == kind, "size"] <= table["size"].max()).sum())
            for kind, table in small.groupby("kind")
        )
        taken = counted(costs, "true component")
        reasons.append(f"a clean-up of {len(small)} of them would take {taken} with them")
    if len(mine) > len(small):
        reasons.append(f"{len(mine) - len(small)} have {LARGE} pixels or more")
    largest = mine.loc[mine["size"].idxmax()]
    kind = {"object": "an object", "hole": "a hole"}[largest["kind"]]
    return (
        "are too sure for a threshold, and no size tells them from true ones: "
        f"{' and '.join(reasons)}. Either the label misses something there or the model sees what "
        f"is not there; the largest, {largest['size']} pixels, is {kind} in image "
        f"{largest['id']} at row {largest['row']}, column {largest['column']}."
    )
