"""Copying images from what a storage gave: files, folders and archives."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from maskmake.data.folders import IMAGE_SUFFIXES, ROLES
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import atomic
from maskmake.runtime.log import logger

ARCHIVE_SUFFIXES = tuple(
    suffix for _, suffixes, _ in shutil.get_unpack_formats() for suffix in suffixes
)


def copy_images(objects: Iterable[str], folder: str | Path) -> None:
    """Copy every image among the objects to ``folder``.

    Args:
        objects: paths of image files, folders and archives; folders and archives are searched at
            all depths.
        folder: is created; an image from a folder train, validation or test goes to the
            sub-folder of that name, every other one to the folder itself.

    Raises:
        UserError: an object holds no image or cannot be unpacked, or two images have the same name.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    taken: dict[Path, str] = {}
    for source in objects:
        found = 0
        with tempfile.TemporaryDirectory(dir=Path(folder).parent) as scratch:
            for image in _images(source, Path(scratch)):
                role = image.parent.name if image.parent.name in ROLES else ""
                place = Path(folder, role, image.name)
                if place in taken:
                    raise UserError(
                        f"{source}: {image.name} is also in {taken[place]}; expected different "
                        "names; rename one of the images."
                    )
                with atomic(place) as temporary:
                    shutil.copyfile(image, temporary)
                taken[place] = source
                found += 1
        if not found:
            raise UserError(
                f"{source}: holds no image; expected PNG, TIFF, JPEG or BMP files, or a folder or "
                "archive of them; fix the address in dataset.storage."
            )
    logger.info("%d images in %s", len(taken), folder)


def _images(source: str, scratch: Path) -> Iterator[Path]:
    path = Path(source)
    if path.name.lower().endswith(ARCHIVE_SUFFIXES):
        try:
            # A zip is never unpacked beside its folder; a tar needs the filter for that.
            if path.suffix.lower() == ".zip":
                shutil.unpack_archive(path, scratch)
            else:
                shutil.unpack_archive(path, scratch, filter="data")
        except (shutil.ReadError, OSError, ValueError) as error:
            raise UserError(
                f"{source}: cannot be unpacked ({error}); expected a whole archive; store it again."
            ) from error
        path = scratch
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    for each in found:
        if each.is_file() and each.suffix.lower() in IMAGE_SUFFIXES and each.name[0] != ".":
            yield each
