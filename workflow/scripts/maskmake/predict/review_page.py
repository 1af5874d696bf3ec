"""The page of the masks of new images: the one to look at first on top, each with its outline."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.data.images import ImageFile, open_image_files
from maskmake.masks.decision import Validation
from maskmake.pages.browser import (
    MOST_ROWS,
    Browser,
    Column,
    Layer,
    Row,
    finite,
    histogram_plot,
    jpeg_uri,
    scatter_plot,
    thumbnail_side,
)
from maskmake.pages.html import render_page
from maskmake.pages.pictures import (
    OUTLINE,
    grey_levels,
    grey_range,
    outlined_thumbnail,
)
from maskmake.pages.tiles import LARGEST_FILE, tiling, write_full_picture
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import atomic_folder

TEMPLATE = Path(__file__).parent / "templates" / "review.html.j2"
SHOWN_REFUSED = 5  # sentences that are seen without a click
IMAGE, MASK = "image", "mask"
LEGEND = [("foreground", OUTLINE)]
LAYERS = [Layer("Image", IMAGE, ".jpg"), Layer("Mask", MASK, ".png", legend=LEGEND)]

EXPECTED_DICE, REASON = "expected Dice", "reason to look"


def write_review_page(
    review: pd.DataFrame,
    validation: Validation,
    masks: Path,
    names: Mapping[str, str],
    pictures: Path,
    refused: Sequence[str] = (),
    selection: Sequence[int] | None = None,
) -> str:
    """Write the pictures of new images and their masks, and give the page.

    Args:
        review: table of ``review.csv``.
        validation: of ``decision.json``, which says how far the expected Dice was off.
        masks: their folder, ``<id>.png``.
        names: of masks by the path of the image, where it is not the stem.
        pictures: folder to write; it is there once all are written.
        refused: a sentence for each image that could not be used.
        selection: which channels of the images the model was given, counted from 1; None: all.

    Returns:
        HTML, which lies beside the folder of pictures.
    """
    shown = review.head(MOST_ROWS)
    side = thumbnail_side(len(shown))
    looks: dict[str, tuple[str, tuple[int, int], str]] = {}
    # A stack is opened once for all its images.
    by_file = shown.sort_values("image", kind="stable")
    with atomic_folder(pictures) as unfinished:
        for layer in LAYERS:
            (unfinished / layer.folder).mkdir()
        for path, rows in groupby(by_file.itertuples(), key=lambda row: row.image):
            wanted = [row.id for row in rows]
            for id_, image, fault in _open(Path(path), wanted, names.get(path), selection):
                file = _only(masks / f"{id_}.png")
                picture = _write_image(unfinished / IMAGE / id_, image or file)
                mask = _write_mask(unfinished / MASK / id_, file)
                small = outlined_thumbnail(picture, mask, side)
                looks[id_] = jpeg_uri(small), (small.shape[1], small.shape[0]), fault
    off = expected_error(validation)
    return render_page(
        TEMPLATE,
        "Masks of new images · maskmake",
        _browser(review, shown, looks, pictures.name, off) if len(shown) else None,
        count=len(review),
        off=off,
        refused=refused,
        shown=SHOWN_REFUSED,
    )


def expected_error(validation: Validation) -> float | None:
    """How far the expected Dice was off on validation images, on average; None: not known."""
    pairs = zip(validation["expected_mean_dice"], validation.get("mean_dice", []), strict=False)
    errors = [abs(expected - real) for expected, real in pairs if real is not None]
    return sum(errors) / len(errors) if errors else None


def _open(
    path: Path, wanted: list[str], name: str | None, selection: Sequence[int] | None
) -> Iterator[tuple[str, ImageFile | None, str]]:
    """The wanted images of a file; one that is gone by now has its mask alone, and a fault."""
    try:
        found = open_image_files(path, selection, name)
    except (UserError, OSError) as error:
        found, fault = [], str(error)
    else:
        fault = f"{path}: the image is no longer in it"
    images = {image.id: image for image in found if isinstance(image, ImageFile)}
    for id_ in wanted:
        image = images.get(id_)
        yield id_, image, "" if image else fault


def _only(path: Path) -> ImageFile:
    (image,) = open_image_files(path)
    if isinstance(image, UserError):
        raise image
    return image


def _write_image(stem: Path, image: ImageFile) -> np.ndarray:
    """Write the picture of an image in full size; returns it sampled."""
    height, width = image.shape[:2]
    pixels = _sampled(image)
    ends = grey_range(pixels)
    picture = grey_levels(pixels, ends)
    bands = (grey_levels(band, ends) for band in image.read())
    write_full_picture(stem, (height, width), bands if tiling(height, width) else [picture])
    return picture


def _write_mask(stem: Path, mask: ImageFile) -> np.ndarray:
    """Write the layer of a mask in full size; returns the mask sampled."""
    height, width = mask.shape[:2]
    sampled = _sampled(mask) > 0
    bands = ((band > 0).view(np.uint8) for band in mask.read())
    whole = [sampled.view(np.uint8)]
    colours = [colour for _, colour in LEGEND]
    write_full_picture(stem, (height, width), bands if tiling(height, width) else whole, colours)
    return sampled


def _sampled(image: ImageFile) -> np.ndarray:
    """Every n-th row and column, at most ``LARGEST_FILE`` of each; bands bound the memory."""
    step = -(-max(image.shape[:2]) // LARGEST_FILE)
    parts, row = [], 0
    for band in image.read():
        parts.append(band[-row % step :: step, ::step].copy())
        row += len(band)
    return np.concatenate(parts)


def _browser(
    review: pd.DataFrame,
    shown: pd.DataFrame,
    looks: Mapping[str, tuple[str, tuple[int, int], str]],
    folder: str,
    off: float | None,
) -> Browser:
    expected, share = shown["expected_mean_dice"].tolist(), shown["foreground"].tolist()
    within, meaning = "", "How good the mask probably is, as the network sees it."
    if off is not None:
        within = f" ± {off:.3f}"
        meaning += (
            " The number after ± is how far it was off on the validation images, on average "
            "(mean absolute error): the same number for each mask."
        )
    reasons = [
        "; ".join(filter(None, [text if isinstance(text, str) else "", looks[id_][2]]))
        for id_, text in zip(shown["id"], shown["reason"], strict=True)
    ]
    rows = [
        Row(
            row.id,
            *looks[row.id][:2],
            [finite(dice), reason, finite(part), row.height * row.width],
            [
                "–" if np.isnan(dice) else f"{dice:.3f}{within}",
                reason,
                f"{100 * part:.1f} %",
                f"{row.height} × {row.width}",
            ],
            tiling(row.height, row.width),
        )
        for row, dice, part, reason in zip(
            shown.itertuples(), expected, share, reasons, strict=True
        )
    ]
    plots = [
        histogram_plot("masks-expected-dice", 0, EXPECTED_DICE, expected),
        scatter_plot(
            "masks-foreground",
            shown["id"].tolist(),
            ("share of foreground in the mask", share),
            (EXPECTED_DICE, expected),
        ),
    ]
    return Browser(
        what="masks",
        folder=folder,
        columns=[
            Column(EXPECTED_DICE, meaning),
            Column(REASON, "What is unusual.", numeric=False),
            Column("foreground", "Share of the mask."),
            Column("pixels", "Height × width."),
        ],
        rows=rows,
        layers=LAYERS,
        runs=[""],
        plots=plots if len(rows) > 1 else [],
        order="the lowest expected Dice first",
        total=len(review),
        rest="review.csv",
    )
