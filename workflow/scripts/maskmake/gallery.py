"""The pictures of the report: data, augmented patches, best and worst test images."""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import label as label_components

from maskmake import figures
from maskmake.arrays import PixelStore
from maskmake.glossary import percent
from maskmake.images import read_pixels

GALLERY_IMAGES = 6

EXAMPLES_EACH = 2  # best and worst test images

COUNTED_SIDE = 1536  # components are counted in the middle of an image, at most so large


def gallery_panels(images: PixelStore, labels: PixelStore, table: pd.DataFrame) -> list[dict]:
    """Images from the lowest to the highest foreground share, outlined."""
    ordered = table.sort_values("foreground", kind="stable")
    places = np.linspace(0, len(ordered) - 1, min(GALLERY_IMAGES, len(ordered))).round().astype(int)
    panels = []
    for row in ordered.iloc[places].itertuples():
        picture = figures.outlined(images[row.id], labels[row.id])
        panels.append(
            {
                "picture": picture,
                "uri": figures.data_uri(picture),
                "title": f"{row.id} ({row.role}), {percent(row.foreground)} foreground",
                "id": row.id,
                "role": row.role,
                "size": f"{row.height} × {row.width}",
                "foreground": row.foreground,
            }
        )
    return panels


def augmented_panels(path: Path) -> list[dict]:
    """The patches that a training kept, the label's border drawn on each."""
    panels = []
    for place, sample in enumerate(np.load(path), start=1):
        image, label = sample[..., :-1], sample[..., -1]
        picture = figures.outlined(image[..., 0] if image.shape[-1] == 1 else image, label)
        panels.append(
            {"title": f"patch {place}", "picture": picture, "uri": figures.data_uri(picture)}
        )
    return panels


def select_examples(per_image: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """The best and the worst test images by the mean of foreground and background Dice.

    Args:
        per_image: table of ``per_image.csv``; a score may be NaN.

    Returns:
        Pairs of a verdict and the scores of an image: up to two best, best first, and up to two
        worst, worst last; no image twice. Images without any Dice are shown only if all are so.
    """
    means = per_image[["foreground_dice", "background_dice"]].mean(axis=1)
    ordered = per_image.assign(mean_dice=means).sort_values(
        "mean_dice", ascending=False, kind="stable"
    )
    scored = ordered.dropna(subset="mean_dice")
    ordered = scored if len(scored) else ordered
    if len(ordered) == 1:
        return [("Only", ordered.iloc[0])]
    each = min(EXAMPLES_EACH, len(ordered) // 2)
    best = [("Best", ordered.iloc[place]) for place in range(each)]
    return best + [("Worst", ordered.iloc[place]) for place in range(-each, 0)]


def example_panels(
    results: Path,
    images: PixelStore,
    labels: PixelStore,
    run: str,
    verdict: str,
    scores: pd.Series,
) -> dict:
    """An image, its label and what a run made of it, with the scores and the verdict on it."""
    image_id = scores["id"]
    image, label = images[image_id], labels[image_id]
    mask = read_pixels(results / "runs" / run / "masks" / f"{image_id}.png")
    probability = read_pixels(results / "runs" / run / "probability" / f"{image_id}.png")
    regions = read_pixels(results / "runs" / run / "regions" / f"{image_id}.png")
    white_label = figures.sampled(label) * np.uint8(255)
    panels = [
        ("image", figures.thumbnail(figures.stretched(image)), False),
        ("label", figures.thumbnail(white_label), True),
        ("probability", figures.thumbnail(figures.sampled(probability)), False),
        ("mask", figures.thumbnail(figures.sampled(mask)), True),
        ("errors", figures.error_map(image, label, mask), False),
        ("regions", figures.thumbnail(figures.sampled(regions)), True),
    ]
    return {
        "id": image_id,
        "verdict": verdict,
        "scores": scores,
        "panels": [
            {"title": title, "picture": picture, "uri": figures.data_uri(picture, lossless)}
            for title, picture, lossless in panels
        ],
        "label_components": count_components(label),
        "mask_components": count_components(mask),
    }


def count_components(mask: np.ndarray) -> int:
    """Number of 4-connected foreground components in the middle of a mask, (H, W)."""
    top, left = (max(0, (side - COUNTED_SIDE) // 2) for side in mask.shape)
    middle = mask[top : top + COUNTED_SIDE, left : left + COUNTED_SIDE]
    return int(label_components(middle > 0, connectivity=1).max())
