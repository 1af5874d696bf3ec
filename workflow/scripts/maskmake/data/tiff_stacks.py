"""The images of a TIFF file: its pages, of which several may be the channels of one image.

Programs say in the description of the first page what the pages are: ImageJ in lines, OME in XML,
tifffile in JSON. Only the counts are taken from there, never the name of another file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import tifffile

from maskmake.data.tiff import Page, list_pages
from maskmake.runtime.errors import UserError

OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\s([^>]*)>")
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
IMAGEJ_COUNT = re.compile(r"^(images|channels|slices|frames)=(\d{1,9})$", re.MULTILINE)
MOST_IMAGES = 10**6  # an ImageJ description of more is damaged

Loaded = tuple[Page, tifffile.TiffPage]


def list_stack(tiff: tifffile.TiffFile) -> list[list[Loaded]]:
    """The images of a file, each with the pages of its channels, in the order of the pages.

    Smaller copies and mask pages are left out.

    Raises:
        UserError: the list of pages is damaged, or fewer images are there than the file says.
    """
    pages = list(list_pages(tiff))
    first = pages[0][1]
    counts = {name: int(count) for name, count in IMAGEJ_COUNT.findall(_imagej(first))}
    if len(pages) == 1 and counts.get("images", 1) > 1:
        pages = _behind_the_first(tiff, *pages[0], counts["images"])
    dimensions = _imagej_dimensions(counts) or _shaped_dimensions(first)
    dimensions = dimensions or _ome_dimensions(first, len(pages))
    if dimensions.get("C", 1) == 1 or len(pages) == 1:
        return [[page] for page in pages]
    if np.prod(list(dimensions.values())) != len(pages):
        raise UserError(
            f"{len(pages)} pages, but its description says {_product(dimensions)}; expected a page "
            "for each channel of each image; save the file again."
        )
    places = np.arange(len(pages)).reshape(list(dimensions.values()))
    places = np.moveaxis(places, list(dimensions).index("C"), -1)
    return [[pages[place] for place in image] for image in places.reshape(-1, dimensions["C"])]


def _product(dimensions: Mapping[str, int]) -> str:
    return " x ".join(f"{count} {name}" for name, count in dimensions.items())


def _imagej(page: tifffile.TiffPage) -> str:
    return page.imagej_description or ""


def _behind_the_first(
    tiff: tifffile.TiffFile, page: Page, loaded: tifffile.TiffPage, count: int
) -> list[Loaded]:
    """The images of a large ImageJ file, which lie one behind the other with one list of tags."""
    size, start = sum(loaded.databytecounts), min(loaded.dataoffsets, default=0)
    there = (tiff.filehandle.size - start) // size if size else 0
    if count > MOST_IMAGES or there < count or loaded.compression != 1:
        raise UserError(
            f"a stack of {count} images with one list of tags, of which {min(there, count)} are "
            "there; expected a whole stack without compression, as ImageJ writes it; save it again."
        )
    pages = [replace(page, behind=number) for number in range(count)]
    # The tags are those of the first image; only the place of the pixels differs.
    return [(page, loaded) for page in pages]


def _imagej_dimensions(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of frames, slices and channels, of which channels change first."""
    if "images" not in counts and "channels" not in counts:
        return {}
    return {
        "T": counts.get("frames", 1),
        "Z": counts.get("slices", 1),
        "C": counts.get("channels", 1),
    }


def _ome_dimensions(page: tifffile.TiffPage, pages: int) -> dict[str, int]:
    """Counts that OME-XML names, in the order of the pages; none if other files have planes too."""
    found = OME_PIXELS.findall(page.description) if "OME" in page.description else []
    if len(found) != 1:
        return {}
    attributes = dict(ATTRIBUTE.findall(found[0]))
    order = attributes.get("DimensionOrder", "")[:1:-1]  # XYCZT: T changes last
    counts = [attributes.get(f"Size{name}", "") for name in order]
    if sorted(order) != ["C", "T", "Z"] or not all(count.isdecimal() for count in counts):
        return {}
    dimensions = dict(zip(order, map(int, counts), strict=True))
    dimensions["C"] = max(1, dimensions["C"] // page.samplesperpixel)
    return dimensions if np.prod(list(dimensions.values())) == pages else {}


def _shaped_dimensions(page: tifffile.TiffPage) -> dict[str, int]:
    """Counts that tifffile writes as JSON, where it names the axes."""
    if not page.description.startswith("{"):
        return {}
    try:
        described = json.loads(page.description)
        named = list(zip(described["axes"], map(int, described["shape"]), strict=True))
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: count for name, count in named if name not in "YXS"}
