"""The pictures of the report: data, augmented patches, best and worst test images."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from skimage.measure import label as label_components
from skimage.segmentation import find_boundaries

from maskmake.data.images import read_pixels
from maskmake.data.labels import IGNORED, where_labelled
from maskmake.data.object_class import ObjectName
from maskmake.data.pixel_store import PixelStore
from maskmake.pages.pictures import OUTLINE, grey_levels
from maskmake.runtime.files import read_array

PICTURE_SIDE = 384  # pixels; a picture is at most this high and wide
SAMPLED_SIDE = 4 * PICTURE_SIDE  # pixels are averaged from at most so many rows and columns

MISSED = (213, 94, 0)  # label foreground, mask background
FALSE = (0, 114, 178)  # label background, mask foreground

GALLERY_IMAGES = 6

EXAMPLES_EACH = 2  # best and worst test images

COUNTED_SIDE = 1536  # components are counted in the middle of an image, at most so large


def gallery_panels(images: PixelStore, labels: PixelStore, table: pd.DataFrame) -> list[dict]:
    """Images from the lowest to the highest foreground share, outlined."""
    ordered = table.sort_values("foreground", kind="stable")
    places = np.linspace(0, len(ordered) - 1, min(GALLERY_IMAGES, len(ordered))).round().astype(int)
    panels = []
    for row in ordered.iloc[places].itertuples():
        picture = outlined(images[row.id], labels[row.id])
        panels.append(
            {
                "picture": picture,
                "uri": data_uri(picture),
                "id": row.id,
                "role": row.role,
                "size": f"{row.height} × {row.width}",
                "foreground": row.foreground,
            }
        )
    return panels


def augmented_panels(path: str | Path) -> list[dict]:
    """The patches that a training kept, each with the border of its label."""
    panels = []
    for place, sample in enumerate(read_array(path), start=1):
        image, label = sample[..., :-1], sample[..., -1]
        picture = outlined(image[..., 0] if image.shape[-1] == 1 else image, label)
        panels.append({"title": f"patch {place}", "picture": picture, "uri": data_uri(picture)})
    return panels


def select_examples(
    per_image: pd.DataFrame, score: str = "mean_dice"
) -> list[tuple[str, pd.Series]]:
    """The best and the worst test images by mean or foreground Dice.

    Args:
        per_image: table of ``per_image.csv``; a score may be NaN.
        score: mean_dice or foreground_dice, see ``scorecard.headline_score``.

    Returns:
        Pairs of a verdict and the scores of an image: up to two best, best first, and up to two
        worst, worst last; no image twice. Images without the score are shown only if no image
        has it. If all that have it are equal, there is no best and no worst one.
    """
    ordered = per_image.sort_values(score, ascending=False, kind="stable")
    scored = ordered.dropna(subset=score)
    ordered = scored if len(scored) else ordered
    if len(per_image) == 1:
        return [("Only", ordered.iloc[0])]
    if ordered[score].nunique() < 2:
        return [("Example", row) for _, row in ordered.head(2 * EXAMPLES_EACH).iterrows()]
    each = min(EXAMPLES_EACH, len(ordered) // 2)
    best = [("Best", ordered.iloc[place]) for place in range(each)]
    return best + [("Worst", ordered.iloc[place]) for place in range(-each, 0)]


def example_panels(
    pictures: Mapping[str, Path],
    images: PixelStore,
    labels: PixelStore,
    verdict: str,
    scores: pd.Series,
    objects: ObjectName = "foreground",
) -> dict:
    """An image, its label, and what a run made of it, with its scores and the verdict.

    Args:
        pictures: folders of the run's pictures: ``masks``, ``probability`` and ``regions``.
        images: of the data set.
        labels: of the data set.
        verdict: what the image is an example of.
        scores: the image's row of ``per_image.csv``.
        objects: the class of the objects, whose components are counted.

    Raises:
        UserError: a picture cannot be decoded.
    """
    image_id = scores["id"]
    image, label = images[image_id], labels[image_id]
    mask, probability, regions = (
        read_pixels(pictures[kind] / f"{image_id}.png")
        for kind in ("masks", "probability", "regions")
    )
    panels = [
        ("image", thumbnail(stretched(image)), False),
        ("label", thumbnail(label_picture(sampled(label))), True),
        ("probability", thumbnail(sampled(probability)), False),
        ("mask", thumbnail(sampled(mask)), True),
        ("errors", error_map(image, label, mask), False),
        ("regions", thumbnail(sampled(regions)), True),
    ]
    return {
        "id": image_id,
        "verdict": verdict,
        "scores": scores,
        "panels": [
            {"title": title, "picture": picture, "uri": data_uri(picture, lossless)}
            for title, picture, lossless in panels
        ],
        "label_components": count_components(label, objects),
        "mask_components": count_components(where_labelled(mask > 0, label), objects),
    }


def count_components(label: np.ndarray, objects: ObjectName = "foreground") -> int:
    """Number of 4-connected components of a class in the middle of a label (H, W), 0, 1 or 255."""
    top, left = (max(0, (side - COUNTED_SIDE) // 2) for side in label.shape)
    middle = label[top : top + COUNTED_SIDE, left : left + COUNTED_SIDE]
    return int(label_components(middle == (objects == "foreground"), connectivity=1).max())


def label_picture(label: np.ndarray) -> np.ndarray:
    """A label (H, W), 0, 1 or 255, in black and white, and grey where it is ignored; ``uint8``."""
    return np.array([0, 255], np.uint8)[label % IGNORED] | (label == IGNORED) * np.uint8(128)


def sampled(pixels: np.ndarray, most: int = SAMPLED_SIDE) -> np.ndarray:
    """Every n-th row and column, at most ``most`` of each, which bounds the memory."""
    step = -(-max(pixels.shape[:2]) // most)
    return np.asarray(pixels[::step, ::step])


def stretched(pixels: np.ndarray) -> np.ndarray:
    """Picture of an image: its percentiles 0.5 and 99.5 become black and white.

    Args:
        pixels: (H, W) or (H, W, C), any type.

    Returns:
        ``uint8``, sampled, (h, w) or (h, w, 3); colours keep their proportions. Two channels are
        red and green; of more than three, the first three are shown.
    """
    return grey_levels(sampled(pixels))


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """A ``uint8`` picture averaged down to at most ``PICTURE_SIDE`` pixels a side."""
    image = Image.fromarray(picture)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def outlined(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Thumbnail of an image with the border of its label drawn on it, dark where it is ignored.

    Args:
        image: (H, W) or (H, W, C), any type.
        label: (H, W), 0, 1 or 255.

    Returns:
        (h, w, 3) ``uint8``.
    """
    picture = _as_colour(thumbnail(stretched(image)))
    small_label, ignored = (
        thumbnail((sampled(label) == value) * np.uint8(255)) > 127 for value in (1, IGNORED)
    )
    picture[ignored] //= 3
    picture[find_boundaries(small_label, mode="inner")] = OUTLINE
    return picture


def error_map(image: np.ndarray, label: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Thumbnail of a grey image with ``MISSED`` and ``FALSE`` foreground painted over it.

    Args:
        image: (H, W) or (H, W, C), any type.
        label: (H, W), 0, 1 or, where nothing is painted, 255.
        mask: (H, W), 0 or not 0.

    Returns:
        (h, w, 3) ``uint8``.
    """
    picture = stretched(image)
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    # Pale and with a third of the contrast, or the colours would be hard to see in a sharp image.
    painted = _as_colour((150 + grey / 3).astype(np.uint8))
    small_label, is_mask = sampled(label), sampled(mask) > 0
    painted[(small_label == 1) & ~is_mask] = MISSED
    painted[(small_label == 0) & is_mask] = FALSE
    return thumbnail(painted)


def _as_colour(picture: np.ndarray) -> np.ndarray:
    return np.stack([picture] * 3, axis=2) if picture.ndim == 2 else picture.copy()


def data_uri(picture: np.ndarray, lossless: bool = False) -> str:
    """A ``uint8`` picture as a ``data:`` address: PNG if lossless, else JPEG."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    if lossless:
        image.save(buffer, format="PNG", optimize=True)
    else:
        image.save(buffer, format="JPEG", quality=88, subsampling=0)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
