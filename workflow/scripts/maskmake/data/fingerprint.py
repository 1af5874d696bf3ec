"""The fingerprint of a data set."""

from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict, cast

import numpy as np
import pandas as pd

from maskmake.data.image_samples import MOST_CHANNELS
from maskmake.data.labels import is_labelled
from maskmake.data.object_class import ObjectName, Pieces, find_object_class
from maskmake.data.pixel_store import PixelStore
from maskmake.data.splits import fold_ids
from maskmake.data.structures import Structures, measure_structures
from maskmake.data.tables import damaged
from maskmake.runtime.documents import Keywords, read_document
from maskmake.runtime.errors import UserError

Length = Annotated[int, Keywords(minimum=1)]
Channels = Annotated[int, Keywords(minimum=1, maximum=MOST_CHANNELS)]
PixelType = Literal["uint8", "uint16", "int16", "float32"]


class Lengths(TypedDict):
    """Range of a length over the images, in pixels."""

    minimum: Length
    median: float
    maximum: Length


class Intensity(TypedDict):
    """Pixel values of the images that are not test images; mean and std of each channel.

    All but the extremes are those of labelled pixels.

    Attributes:
        smallest_maximum: the lowest of the highest values of each image; absent from old files.
        between: standard deviation of the means of the images, of each channel; absent from old
            files.
        inside: root of the mean variance inside an image, of each channel; absent from old files.
    """

    mean: list[float]
    std: list[float]
    minimum: float
    maximum: float
    smallest_maximum: NotRequired[float]
    between: NotRequired[list[float]]
    inside: NotRequired[list[float]]


class Plan(TypedDict):
    """Contents of ``plan.json``, the fingerprint of a data set.

    Attributes:
        foreground: share of the labelled pixels.
        objects, pieces: see ``object_class.ObjectClass``; absent from old files.
        ignored: share of the pixels that the labels ignore; absent where there are none.
        selection: ``dataset.channels``, counted from 1; absent where it is not set.
        range: ``dataset.range``; absent where it is not set.
        training_pixels: labelled pixels of the training images, the mean over folds; absent from
            old files.
        structures: in the labels; absent from old files.
    """

    images: Length
    height: Lengths
    width: Lengths
    channels: Channels
    dtype: PixelType
    foreground: Annotated[float, Keywords(minimum=0, maximum=1)]
    intensity: Intensity
    objects: NotRequired[ObjectName]
    pieces: NotRequired[Pieces]
    ignored: NotRequired[Annotated[float, Keywords(exclusiveMinimum=0, exclusiveMaximum=1)]]
    selection: NotRequired[list[int]]
    range: NotRequired[int]
    training_pixels: NotRequired[Annotated[int, Keywords(minimum=0)]]
    structures: NotRequired[Structures]


def read_plan(path: str | Path, index: pd.DataFrame) -> Plan:
    """Read ``plan.json``.

    Args:
        path: of the file.
        index: table of ``index.csv``, whose fingerprint it is to be.

    Raises:
        UserError: a value is missing, not what it should be, or of another data set.
    """
    plan: Plan = read_document(path, Plan)
    channels = int(index["channels"].iloc[0])
    expected: dict[str, object] = {
        "images": len(index),
        "height": _range(index["height"]),
        "width": _range(index["width"]),
        "channels": channels,
    }
    for key, value in expected.items():
        if dict(plan)[key] != value:
            raise damaged(path, f"{key} is not that of index.csv", "plan")
    intensity = plan["intensity"]
    if {len(intensity["mean"]), len(intensity["std"])} != {channels}:
        raise damaged(path, f"not one mean and std for each of {channels} channels", "plan")
    return plan


def object_class_of(setting: str, plan: Plan) -> ObjectName:
    """The class of the objects.

    Args:
        setting: ``decide.objects``: foreground, background, or auto for what ``plan.json`` says.
        plan: contents of ``plan.json``.

    Raises:
        UserError: auto, and the plan is of an earlier version.
    """
    if setting != "auto":
        return cast(ObjectName, setting)
    if "objects" not in plan:
        raise UserError(
            "decide.objects: auto, but data/plan.json is of an earlier version and does not say "
            "which class the objects are; set decide.objects to foreground or background, or add "
            "-R plan to the command once, which trains again."
        )
    return plan["objects"]


def fingerprint(
    index: pd.DataFrame, splits: pd.DataFrame, images: PixelStore, labels: PixelStore
) -> Plan:
    """Contents of ``plan.json``; pixel statistics come from the images that are not test images.

    Args:
        index: table of ``index.csv``.
        splits: table of ``splits.csv``.
        images: their pixel store.
        labels: their pixel store.

    Returns:
        Counts, ranges of height and width, channels, pixel type, mean foreground share, intensity
        (mean and standard deviation of each channel, minimum, maximum; pixel values), and the
        class of the objects in the labels of the images that are not test images.
    """
    seen = splits.loc[splits["role"] != "test", "id"].tolist()
    channels = int(index["channels"].iloc[0])
    labelled: dict[str, int] = {}
    pixels = foreground = 0
    for name in seen:
        label = labels[name]
        labelled[name] = int(np.count_nonzero(is_labelled(label)))
        foreground += int(np.count_nonzero(label == 1))
        pixels += label.size
    found = find_object_class(labels[name] for name in seen)
    plan: Plan = {
        "images": len(index),
        "height": _range(index["height"]),
        "width": _range(index["width"]),
        "channels": channels,
        "dtype": cast(PixelType, images.dtype.name),
        "foreground": foreground / sum(labelled.values()),
        "intensity": _intensity(images, labels, seen, channels),
        **found,
        "training_pixels": _training_pixels(splits, labelled),
        "structures": measure_structures(seen, labels.__getitem__, found["objects"]),
    }
    if sum(labelled.values()) < pixels:
        plan["ignored"] = 1 - sum(labelled.values()) / pixels
    return plan


def _training_pixels(splits: pd.DataFrame, labelled: dict[str, int]) -> int:
    """Labelled pixels of the training images, the mean over folds."""
    folds = sorted(splits["fold"].dropna().unique()) if "fold" in splits else []
    if not folds:
        return sum(labelled.values())
    sums = [sum(labelled[name] for name in fold_ids(splits, fold).train) for fold in folds]
    return round(sum(sums) / len(sums))


def _intensity(images: PixelStore, labels: PixelStore, seen: list[str], channels: int) -> Intensity:
    """Statistics of some images, each read once.

    What is ignored may be a margin without an image, so it has no part in means and spreads.
    """
    low, high, dimmest = np.inf, -np.inf, np.inf
    counts, means, variances = [], [], []
    for name in seen:
        image = images[name].reshape(-1, channels).astype(np.float64)
        low, high = min(low, image.min()), max(high, image.max())
        dimmest = min(dimmest, image.max())
        image = image[is_labelled(labels[name]).ravel()]
        if not len(image):
            continue
        counts.append(len(image))
        means.append(image.mean(axis=0))
        # Of the differences: squares of large values would lose the digits of a small spread.
        variances.append(((image - means[-1]) ** 2).mean(axis=0))
    share = np.array(counts)[:, None] / sum(counts)
    mean = (share * means).sum(axis=0)
    inside = (share * variances).sum(axis=0)
    between = (share * (np.array(means) - mean) ** 2).sum(axis=0)
    return {
        "mean": mean.tolist(),
        "std": np.sqrt(inside + between).tolist(),
        "minimum": float(low),
        "maximum": float(high),
        "smallest_maximum": float(dimmest),
        "between": np.sqrt(between).tolist(),
        "inside": np.sqrt(inside).tolist(),
    }


def _range(lengths: pd.Series) -> Lengths:
    return {
        "minimum": int(lengths.min()),
        "median": float(lengths.median()),
        "maximum": int(lengths.max()),
    }
