"""Image files and their folders. Read by the Snakefile, so only the standard library."""

import os
import re
from pathlib import Path

TIFF_SUFFIXES = {".tif", ".tiff"}
LOSSLESS_SUFFIXES = {".png", ".bmp", ".gif"} | TIFF_SUFFIXES
JPEG_SUFFIXES = {".jpg", ".jpeg", ".jp2", ".j2k"}
IMAGE_SUFFIXES = LOSSLESS_SUFFIXES | JPEG_SUFFIXES | {".webp"}
ENDS = tuple(IMAGE_SUFFIXES)

# Names of sub-folders that give their images a role, in lower case.
ROLES = {
    "train": "train", "training": "train",
    "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip

DIGITS = re.compile(r"(\d+)")


def synthetic_names(count: int) -> list[str]:
    """File names of ``count`` synthetic images: ``00.png``, ``01.png``, ..."""
    digits = max(2, len(str(count - 1)))
    return [f"{index:0{digits}d}.png" for index in range(count)]


def role_of(folder: str) -> str:
    """The role (train, validation, test) that the name of a folder means; empty for none."""
    return ROLES.get(folder.lower(), "")


def role_folders(folder: str | Path) -> list[Path]:
    """Sub-folders whose names are roles, in the order of the roles."""
    if not Path(folder).is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if role_of(e.name) and _is_folder(e)]
    order = list(ROLES.values())
    names.sort(key=lambda name: (order.index(role_of(name)), name))
    return [Path(folder, name) for name in names]


def list_dataset(folder: str | Path) -> list[Path]:
    """Image files in a folder and in its sub-folders whose names are roles."""
    return [path for place in [Path(folder), *role_folders(folder)] for path in list_images(place)]


def list_images(folder: str | Path) -> list[Path]:
    """Image files in ``folder`` in natural order (2 before 10); none if there is no such folder.

    Only folders are left out. A pipe with the name of an image is listed, and a link to nothing
    whatever its name, so that whoever reads it says what is wrong with it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        seen = [e for e in entries if not e.name.startswith(".") and not _is_folder(e)]
    images = [e.name for e in seen if is_image(e.name) or leads_nowhere(e)]
    return [folder / name for name in sorted(images, key=natural_key)]


def is_image(name: str | Path) -> bool:
    """Whether a file has the suffix of an image."""
    return str(name).lower().endswith(ENDS)


def leads_nowhere(file: os.DirEntry | Path) -> bool:
    """Whether a path is a link to something that is not there."""
    return file.is_symlink() and not Path(file).exists()


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
