"""Copying images from what a storage gave: files, folders and archives."""

import errno
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from maskmake.data.archives import CHUNK_BYTES, Member, is_archive, read_images
from maskmake.data.folders import IMAGE_SUFFIXES, leads_nowhere, role_of
from maskmake.runtime.errors import UserError, dead_link
from maskmake.runtime.files import atomic, sha256
from maskmake.runtime.log import logger


def copy_images(
    objects: Iterable[str], folder: str | Path, checksums: Iterable[str | None] = ()
) -> None:
    """Copy every image among the objects to ``folder``.

    Args:
        objects: paths of image files, folders and archives; folders are searched at all depths.
        folder: is created; an image from a folder whose name is a role, such as train or val, goes
            to the sub-folder of that name, every other one to the folder itself.
        checksums: the SHA-256 that each object must have, None for any; empty for all.

    Raises:
        UserError: an object has another checksum, holds no image or cannot be read, or two images
            have the same name.
    """
    objects = list(objects)
    for source, expected in zip(objects, checksums, strict=bool(checksums)):
        if expected is not None:
            _compare(source, expected)
    Path(folder).mkdir(parents=True, exist_ok=True)
    taken: dict[Path, str] = {}
    for source in objects:
        found = 0
        for member in _images(Path(source)):
            place = Path(folder, member.role, member.name)
            if place in taken:
                raise _twice(member.name, source, taken[place])
            _write(member, place, source)
            taken[place] = source
            found += 1
        if not found:
            raise UserError(
                f"{source}: holds no image; expected PNG, TIFF, JPEG or BMP files, or a folder or "
                "archive of them; fix the address in dataset.storage."
            )
    logger.info("%d images in %s", len(taken), folder)


def _twice(name: str, source: str, earlier: str) -> UserError:
    found = f"{name} is also in {earlier}"
    if earlier == source:
        found = f"two images of the name {name}"
    return UserError(
        f"{source}: {found}; expected different names, since images of all folders go into one; "
        "rename one of the images."
    )


def _compare(source: str, expected: str) -> None:
    found = sha256(source) if Path(source).is_file() else "a folder"
    if found != expected.lower():
        raise UserError(
            f"{source}: SHA-256 {found} found, {expected} expected; check where the file comes "
            "from, then correct sha256 in dataset.storage."
        )


def _write(member: Member, place: Path, source: str) -> None:
    try:
        with atomic(place) as temporary, temporary.open("wb") as file:
            shutil.copyfileobj(member.stream, file, CHUNK_BYTES)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise UserError(
            f"{source}: the name {member.name} is too long; expected at most 240 bytes; rename "
            "the image."
        ) from None


def _images(path: Path) -> Iterator[Member]:
    if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES and is_archive(path):
        yield from read_images(path)
        return
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.name.startswith("."):
            continue
        if leads_nowhere(file):
            raise dead_link(file)
        if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES:
            with file.open("rb") as stream:
                role = file.parent.name if role_of(file.parent.name) else ""
                yield Member(file.name, role, stream)
