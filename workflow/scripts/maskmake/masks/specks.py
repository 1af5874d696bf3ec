"""Why false objects and holes are in the masks of a run, and what would remove them."""

from typing import Annotated, Literal, NotRequired, TypedDict

import numpy as np
import pandas as pd

from maskmake.masks.components import Components, find_components
from maskmake.masks.decision import (
    Decision,
    LearnedDecision,
    other_level,
    stored_decision,
    threshold_and_clean,
)
from maskmake.masks.object_terms import object_cases
from maskmake.masks.objectives import TINY
from maskmake.runtime.documents import Keywords
from maskmake.scores.cases import Cases

Count = Annotated[int, Keywords(minimum=0)]
Probability = Annotated[float, Keywords(minimum=0, maximum=1)]


class CauseCounts(TypedDict):
    """False pieces by what would remove them, the keys being ``CAUSES``."""

    threshold: Count
    size: Count
    model_or_label: Count


class MeanProbability(TypedDict):
    """Of the objects and of the holes, the mean over pieces; None without any."""

    objects: Probability | None
    holes: Probability | None


class Piece(TypedDict):
    """Image, kind, row and column of the centre, and size of a piece in pixels."""

    image: str
    kind: Literal["object", "hole"]
    row: Count
    column: Count
    size: Count


class CauseNumbers(TypedDict):
    """Numbers about the false pieces of one cause.

    Attributes:
        objects, holes: number of each kind.
        mean_probability: see ``MeanProbability``.
        median_size: in pixels.
        largest: the largest piece.
        only_at_half: pieces of the masks at 0.5 that are gone at the learned threshold.
        cleaned: pieces that the learned clean-up removes.
        large: pieces of 256 pixels or more.
        true_as_small: true pieces that a clean-up of those below 256 pixels would also remove.
    """

    objects: Count
    holes: Count
    mean_probability: MeanProbability
    median_size: Annotated[float, Keywords(minimum=0)]
    largest: Piece
    only_at_half: Count
    cleaned: Count
    large: Count
    true_as_small: Count


class Place(TypedDict):
    """The middle of a region of an image."""

    image: str
    row: Count
    column: Count


# The lowest value of a class, and how many false pieces it has of each kind and of each cause.
CountsOfClass = TypedDict(
    "CountsOfClass",
    {
        "from": float,
        "objects": Count,
        "holes": Count,
        "threshold": Count,
        "size": Count,
        "model_or_label": Count,
    },
)
Classes = Annotated[list[CountsOfClass], Keywords(minItems=1)]


class Specks(TypedDict):
    """Contents of ``specks.json``.

    Attributes:
        verdict: none, or the most frequent cause.
        components, false: number of pieces, and of false ones, of both kinds.
        cleaned_true: true pieces that the learned clean-up removes.
        free_thresholds: lowest and highest.
        causes: number of false pieces of each cause.
        by_cause: for each cause that occurs, its numbers.
        by_size, by_probability, by_overlap: one row a class.
        worst: the region that shows the most of the verdict's specks; None without any.
        images: ids of the validation images.
        sha256: of the files beside it, by their names; not in older files.
    """

    verdict: Literal["none", "threshold", "size", "model_or_label"]
    components: Count
    false: Count
    cleaned_true: Count
    free_thresholds: Annotated[list[Probability], Keywords(minItems=2, maxItems=2)]
    causes: CauseCounts
    by_cause: dict[str, CauseNumbers]
    by_size: Classes
    by_probability: Classes
    by_overlap: Classes
    worst: Place | None
    images: NotRequired[list[str]]
    sha256: NotRequired[dict[str, str]]


KINDS = {"object": "objects", "hole": "holes"}
# Why a false piece is there, by what would remove it.
CAUSES = ("threshold", "size", "model_or_label")
WINDOW = 128  # pixels a side of the region that shows the most specks

# Lowest value of each class in which components are counted.
LARGE = 256
SIZES = (1, 4, 8, 16, 32, 64, 128, LARGE)
PROBABILITIES = tuple(tenth / 10 for tenth in range(10))
OVERLAPS = (0, 0.1, 0.2, 0.3, 0.4)


def find_specks(cases: Cases, learned: LearnedDecision) -> pd.DataFrame:
    """Every object and hole of the thresholded, uncleaned probabilities, and the false ones' cause.

    A piece is false if less than half of its labelled pixels are of its class in the label; one
    without any is left out. The masks are cut at the learned threshold; false pieces of the masks
    at 0.5 that this threshold removes are added. The cause of a false piece is ``threshold`` if it
    is gone at a threshold that costs no more than 0.002 of the objective; else ``size`` if the
    learned clean-up removes it or if it is smaller than 256 pixels and than every true piece of its
    kind; else ``model_or_label``.

    Args:
        cases: gives each validation image.
        learned: the contents of ``decision.json``; it says which class the objects are.

    Returns:
        One row a piece: id (of the image), kind (object or hole), row and column of its centre,
        size in pixels, mean_probability (of foreground), overlap (share of its labelled pixels
        that are of its class in the label), threshold (at which it was cut), cleaned (whether the
        learned clean-up removes it), false, and cause (empty if true).
    """
    decision = stored_decision(learned)
    threshold, objects = decision.threshold, decision.objects
    # From here on all levels are of the probability of the objects.
    low, high = sorted(other_level(level, objects) for level in free_thresholds(learned))
    tables = []
    for image_id, label, probability, *_ in object_cases(cases, objects)():
        found = [_pieces(probability, label, decision, threshold, low, high)]
        if threshold != 0.5:
            at_half = _pieces(probability, label, decision, 0.5, threshold, threshold)
            # The clean-up never sees what the learned threshold has removed already.
            gone = at_half[at_half["false"] & at_half["free"]]
            found.append(gone.assign(cleaned=False))
        tables += [table.assign(id=image_id) for table in found]
    pieces = pd.concat(tables, ignore_index=True)
    if objects == "background":
        pieces = pieces.assign(
            mean_probability=1 - pieces["mean_probability"], threshold=1 - pieces["threshold"]
        )
    smallest_true = pieces[~pieces["false"]].groupby("kind")["size"].min()
    smallest_true = pieces["kind"].map(smallest_true).fillna(LARGE).clip(upper=LARGE)
    small = pieces["cleaned"] | (pieces["size"] < smallest_true)
    cause = np.select(
        [~pieces["false"], pieces["free"], small], ["", "threshold", "size"], "model_or_label"
    )
    columns = ["id", "kind", "row", "column", "size", "mean_probability", "overlap", "threshold"]
    return pieces.assign(cause=cause)[[*columns, "cleaned", "false", "cause"]]


def free_thresholds(learned: LearnedDecision) -> tuple[float, float]:
    """Lowest and highest threshold that cost no more than 0.002, the learned one included.

    Args:
        learned: the contents of ``decision.json``.
    """
    scores = np.array(learned["curve"]["objective"], float)
    curve = np.array(learned["curve"]["threshold"])
    free = [*curve[scores >= learned["score_uncleaned"] - TINY], learned["threshold"]]
    return float(min(free)), float(max(free))


def _pieces(
    probability: np.ndarray,
    label: np.ndarray,
    decision: Decision,
    threshold: float,
    low: float,
    high: float,
) -> pd.DataFrame:
    """The objects and holes at a threshold; ``free`` if ``high`` or ``low`` removes the piece."""
    mask = probability > threshold
    found = find_components(mask, label)
    kept = _pixels(found, np.where(mask, probability > high, probability <= low))
    # An object is removed for its own size; small objects in a hole join it before it is filled.
    left = _pixels(found, ~threshold_and_clean(probability, decision))
    cleaned = np.where(found.is_object, found.sizes < decision.min_object, left == 0)
    places = np.indices(mask.shape)
    return pd.DataFrame(
        {
            "kind": np.where(found.is_object, "object", "hole"),
            "row": (_pixels(found, places[0]) / found.sizes).round().astype(int),
            "column": (_pixels(found, places[1]) / found.sizes).round().astype(int),
            "size": found.sizes,
            "mean_probability": _pixels(found, probability) / found.sizes,
            "overlap": found.overlaps,
            "threshold": threshold,
            "cleaned": cleaned,
            "false": found.is_false,
            "free": kept == 0,
        }
    )[found.labelled > 0]


def _pixels(found: Components, values: np.ndarray) -> np.ndarray:
    """Sum of the values over each piece."""
    return np.bincount(found.pieces.ravel(), values.ravel(), minlength=found.sizes.size)


def diagnose(pieces: pd.DataFrame, learned: LearnedDecision) -> dict:
    """Count the false pieces, and find what would remove most of them.

    Args:
        pieces: table of ``find_specks``.
        learned: the contents of ``decision.json``.

    Returns:
        The contents of ``specks.json`` but for images and sha256, see ``Specks``.
    """
    false, true = pieces[pieces["false"]], pieces[~pieces["false"]]
    by_cause = {cause: false[false["cause"] == cause] for cause in CAUSES}
    causes = {cause: len(specks) for cause, specks in by_cause.items()}
    verdict = max(causes, key=lambda cause: causes[cause]) if len(false) else "none"
    return {
        "verdict": verdict,
        "components": len(pieces),
        "false": len(false),
        "cleaned_true": int(true["cleaned"].sum()),
        "free_thresholds": free_thresholds(learned),
        "causes": causes,
        "by_cause": {
            cause: _cause_numbers(specks, true, learned["threshold"])
            for cause, specks in by_cause.items()
            if len(specks)
        },
        "by_size": _classes(false, "size", SIZES),
        "by_probability": _classes(false, "mean_probability", PROBABILITIES),
        "by_overlap": _classes(false, "overlap", OVERLAPS),
        "worst": _worst(by_cause[verdict], verdict) if len(false) else None,
    }


def _cause_numbers(specks: pd.DataFrame, true: pd.DataFrame, threshold: float) -> dict:
    """Numbers about the false pieces of one cause.

    Args:
        specks: rows of ``find_specks``, at least one.
        true: the true ones.
        threshold: the learned one.

    Returns:
        The contents of ``CauseNumbers``.
    """
    kinds = {plural: specks[specks["kind"] == kind] for kind, plural in KINDS.items()}
    largest = specks.loc[specks["size"].idxmax()]
    small = specks[specks["size"] < LARGE]
    # NaN for a kind without small specks; no size is below it.
    limits = true["kind"].map(small.groupby("kind")["size"].max())
    return {
        **{plural: len(rows) for plural, rows in kinds.items()},
        "mean_probability": {
            plural: float(rows["mean_probability"].mean()) if len(rows) else None
            for plural, rows in kinds.items()
        },
        "median_size": float(specks["size"].median()),
        "largest": {
            "image": largest["id"],
            "kind": largest["kind"],
            **{name: int(largest[name]) for name in ("row", "column", "size")},
        },
        "only_at_half": int((specks["threshold"] != threshold).sum()),
        "cleaned": int(specks["cleaned"].sum()),
        "large": len(specks) - len(small),
        "true_as_small": int((true["size"] <= limits).sum()),
    }


def _classes(false: pd.DataFrame, column: str, lowest: tuple) -> list[dict]:
    place = np.searchsorted(lowest, false[column], side="right") - 1
    rows = []
    for i, start in enumerate(lowest):
        inside = false[place == i]
        rows.append(
            {
                "from": start,
                **{plural: int((inside["kind"] == kind).sum()) for kind, plural in KINDS.items()},
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
            weights[table.index] = count_near(*table[["row", "column"]].to_numpy().T)
    row = specks.loc[weights.idxmax()]
    return {"image": row["id"], "row": int(row["row"]), "column": int(row["column"])}


def count_near(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """How many of some places lie in the window around each, which itself is one of them.

    Sums over the image take a time that does not grow with the number of pairs, of which noise has
    thousands for each place.

    Args:
        rows, columns: (places,) integers from 0.
    """
    height, width = rows.max() + 1, columns.max() + 1
    places = np.bincount(rows * width + columns, minlength=height * width)
    sums = np.zeros((height + 1, width + 1), np.int32)
    np.cumsum(places.reshape(height, width), axis=0, out=sums[1:, 1:])
    np.cumsum(sums, axis=1, out=sums)
    half = WINDOW // 2
    top, left = (rows - half).clip(0), (columns - half).clip(0)
    bottom, right = (rows + half + 1).clip(max=height), (columns + half + 1).clip(max=width)
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
