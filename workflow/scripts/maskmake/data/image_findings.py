"""What has to be settled or said where the images of a data set differ, or were changed."""

from collections.abc import Iterator

import pandas as pd

from maskmake.data.folded import Sentence, counted, page_name
from maskmake.data.image_samples import FLOAT_TYPES

FULL_RANGE = 65535
SMALLEST_SIDE = 32  # in pixels; an encoder halves an image five times

# Highest values of cameras and files of 8, 10, 12 and 14 bits. An image of a smaller type among
# others nearly reaches its own range, and at most a quarter of theirs; a dim image of their type
# seldom ends so exactly.
SMALLER_RANGES, NEARLY = (255, 1023, 4095, 16383), 0.9


def range_faults(
    manifest: pd.DataFrame, value_range: int | None, image_normalization: bool
) -> Iterator[str]:
    """Images whose pixel types differ, so that nothing says which values mean the same.

    Args:
        manifest: columns image, page, dtype (of the file), minimum and maximum.
        value_range: ``dataset.range``: which value of 16 bits is 255 of 8 bits.
        image_normalization: whether every run has ``train.normalization: image``.
    """
    sixteen = manifest[manifest["dtype"] == "uint16"]
    beyond = sixteen[sixteen["maximum"] > (value_range or FULL_RANGE)]
    for row in beyond.head(1).itertuples():
        yield (
            f"{page_name(row.image, row.page)}: the value {row.maximum:g}; expected at most "
            f"{value_range}, which is dataset.range; {counted(len(beyond), 'such image')}; set "
            "dataset.range to the highest value that a 16-bit image can have."
        )
    kinds = manifest["dtype"].map(lambda name: "float" if name in FLOAT_TYPES else name)
    kinds = kinds.replace("bool", "uint8")
    if kinds.nunique() < 2 or image_normalization:
        return
    if set(kinds) == {"uint8", "uint16"} and value_range:
        return
    found = " and ".join(
        f"{len(rows)} of {kind} (such as {list_pages(rows, 'image')[0]}, together "
        f"{rows['minimum'].min():g} to {rows['maximum'].max():g})"
        for kind, rows in manifest.groupby(kinds)
    )
    remedy = "train.normalization to image, or convert the files to one pixel type"
    if set(kinds) == {"uint8", "uint16"}:
        remedy = (
            "dataset.range to the highest value that a 16-bit image can have (4095 for a camera of "
            f"12 bits, {FULL_RANGE} for all 16), which 255 of 8 bits then equals, or {remedy}"
        )
    yield (
        f"images of several pixel types: {found}; expected one, since nothing says which values "
        f"mean the same brightness; set {remedy}."
    )


def channel_faults(manifest: pd.DataFrame) -> Iterator[str]:
    """Images with other numbers of channels than one, or one and three."""
    if set(manifest["channels"]) <= {1, 3} or manifest["channels"].nunique() == 1:
        return
    found = ", ".join(
        f"{len(rows)} with {count} (such as {list_pages(rows, 'image')[0]})"
        for count, rows in manifest.groupby("channels")
    )
    yield (
        f"images with different numbers of channels: {found}; expected one number; set "
        "dataset.channels to those that all images have, counted from 1, or convert the files."
    )


def scale_warnings(manifest: pd.DataFrame, image_normalization: bool) -> Iterator[str]:
    """Images of 16 bits that reach just the range of a smaller type, and the others far more.

    Args:
        manifest: columns image, page, dtype (of the file) and maximum.
        image_normalization: whether every run has ``train.normalization: image``.
    """
    sixteen = manifest[manifest["dtype"] == "uint16"]
    if image_normalization:
        return
    for end in SMALLER_RANGES:
        found = sixteen[sixteen["maximum"].between(NEARLY * end, end)]
        others = sixteen.loc[sixteen["maximum"] > end, "maximum"].median()  # NaN without others
        if len(found) and others >= 4 * end:
            yield Sentence(
                f"{_named(found)} of 16 bits {'has' if len(found) == 1 else 'have'} no value above "
                f"{end}, and the others go to {others:g}; expected one scale, since equal "
                "values are taken to mean the same brightness; look whether they were exported "
                "from another type, and convert them, or set train.normalization to image.",
                list_pages(found, "image"),
            )
            return


def image_warnings(manifest: pd.DataFrame, selected: bool) -> Iterator[str]:
    """What was done with images that people may not expect.

    Args:
        manifest: columns image, page, channels, turned, transparent and no_data.
        selected: whether ``dataset.channels`` says which channels are used.
    """
    channels = manifest["channels"].value_counts()
    if set(channels.index) == {1, 3}:
        yield (
            f"{channels[1]} grey and {channels[3]} RGB images; the grey ones are repeated in three "
            "channels."
        )
    many = manifest[~manifest["channels"].isin([1, 3])]
    if len(many) and not selected:
        yield Sentence(
            f"{_named(many)} {'has' if len(many) == 1 else 'have'} {many['channels'].iloc[0]} "
            "channels, all of which are used; dataset.channels selects some.",
            list_pages(many, "image"),
        )
    turned = manifest[manifest["turned"]]
    if len(turned):
        yield Sentence(
            f"{_named(turned)} {'carries' if len(turned) == 1 else 'carry'} an orientation entry "
            "and were turned as it says; if labels were drawn on the pixels as they are stored, "
            "remove the entries (exiftool -Orientation=).",
            list_pages(turned, "image"),
        )
    clear = manifest[manifest["transparent"]]
    if len(clear):
        yield Sentence(
            f"{_named(clear)} {'has' if len(clear) == 1 else 'have'} transparent pixels, which are "
            "taken with the colours they have; alpha is left out; if it is a band like infrared, "
            "name all channels in dataset.channels, as in [1, 2, 3, 4].",
            list_pages(clear, "image"),
        )
    empty = manifest[manifest["no_data"] != ""]
    if len(empty):
        yield Sentence(
            f"{_named(empty)} {'has' if len(empty) == 1 else 'have'} pixels of which the file says "
            f"that their value, {empty['no_data'].iloc[0]}, is no data; it is taken as brightness; "
            "if other values lie far from it, put one of them in its place; mark such pixels in "
            "the labels with a value of their own, and set dataset.ignore to it.",
            list_pages(empty, "image"),
        )


def _named(rows: pd.DataFrame) -> str:
    first = list_pages(rows, "image")[0]
    return first if len(rows) == 1 else f"{len(rows)} images (such as {first})"


def list_pages(rows: pd.DataFrame, kind: str) -> list[str]:
    """The images or labels of pairs, each with its page where it is one of a stack."""
    return [page_name(*each) for each in zip(rows[kind], rows["page"], strict=True)]
