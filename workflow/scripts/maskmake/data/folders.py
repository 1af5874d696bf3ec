"""Image files and their folders. Read by the Snakefile, so only the standard library."""

import os
import re
from pathlib import Path

TIFF_SUFFIXES = {".tif", ".tiff"}
LOSSLESS_SUFFIXES = {".png", ".bmp", ".gif"} | TIFF_SUFFIXES
JPEG_SUFFIXES = {".jpg", ".jpeg", ".jp2", ".j2k"}
IMAGE_SUFFIXES = LOSSLESS_SUFFIXES | JPEG_SUFFIXES | {".webp"}

# Sub-folders of an image folder that give their images a role.
ROLES = ("train", "validation", "test")

DIGITS = re.compile(r"(\d+)")


def synthetic_names(count: int) -> list[str]:
    """File names of ``count`` synthetic images: ``00.png``, ``01.png``, ..."""
    digits = max(2, len(str(count - 1)))
    return [f"{index:0{digits}d}.png" for index in range(count)]


def list_dataset(folder: str | Path) -> list[Path]:
    """Image files in a folder and in its sub-folders train, validation and test."""
    folders = [Path(folder), *(Path(folder) / role for role in ROLES)]
    return [path for place in folders for path in list_images(place)]


def list_images(folder: str | Path) -> list[Path]:
    """Image files in ``folder`` in natural order (2 before 10); none if there is no such folder.

    Only folders are left out. A link to nothing or a pipe with the name of an image is listed, so
    that whoever reads it says what is wrong with it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and not _is_folder(e)]
    images = [n for n in names if Path(n).suffix.lower() in IMAGE_SUFFIXES]
    return [folder / name for name in sorted(images, key=natural_key)]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def natural_key(text: str) -> tuple[list, str]:
    """Sort key that orders runs of digits by their value; the text itself breaks ties."""
    runs = filter(None, DIGITS.split(text))
    parts = [(0, int(run), "") if run.isdecimal() else (1, 0, run) for run in runs]
    return parts, text
