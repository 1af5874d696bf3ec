"""Fetching files, each verified by its checksum."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests

from maskmake.data.addresses import public_address
from maskmake.data.transfer import WrongContent, fetch, limited_session
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import atomic
from maskmake.runtime.log import logger

ALGORITHMS = {32: "md5", 64: "sha256"}  # of a checksum, by its hexadecimal digits

DATASET_REMEDY = (
    "fix dataset.download, or put the files by hand into the folders dataset.images and "
    "dataset.labels"
)


def download(
    url: str, checksums: dict[str, str], destination: str | Path, retries: int = 3
) -> None:
    """Fetch each ``url/<name>`` to ``destination/<name>`` unless it is there already.

    A file of the wrong checksum is replaced, and removed where it cannot be replaced. A file
    that fails is tried again ``retries`` times after pauses of 1, 2, 4, ... seconds; a refusal
    such as "not found" is final. What has arrived stays, and the next call goes on there.

    Args:
        url: Address of a folder, http or https.
        checksums: SHA-256 in lower-case hexadecimal by name, as ``read_checksums`` gives.
        destination: Folder; it is made if need be.
        retries: Further attempts for a file, from 0.

    Raises:
        UserError: a file cannot be fetched or has another checksum.
    """
    paths = {name: Path(destination) / name for name in checksums}
    missing = [name for name, path in paths.items() if not _is_whole(path, checksums[name])]
    if not missing:
        return
    logger.info(
        "Downloading %d of %d files from %s", len(missing), len(checksums), public_address(url)
    )
    with limited_session() as session:
        for name in missing:
            paths[name].unlink(missing_ok=True)
            address = _address_below(url, name)
            _fetch(session, address, checksums[name], paths[name], DATASET_REMEDY, retries)


def move_files(names: Iterable[str], source: str | Path, destination: str | Path) -> None:
    """Give each ``source/<name>`` the place ``destination/<name>``, then remove ``source``.

    A process that is killed in between leaves all files in ``source``.
    """
    for name in names:
        place = Path(destination, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        with atomic(place) as temporary:
            temporary.unlink(missing_ok=True)
            try:
                os.link(Path(source, name), temporary)
            except OSError:  # a file system without hard links
                shutil.copyfile(Path(source, name), temporary)
    shutil.rmtree(source)


def _address_below(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}").geturl()


def fetch_file(path: Path, address: str, checksum: str) -> Path:
    """Fetch one file; it appears at ``path`` when it is whole and has the checksum.

    Args:
        path: where the file goes; its folder is made if need be.
        address: http or https.
        checksum: MD5 or SHA-256 in lower-case hexadecimal.

    Returns:
        ``path``.

    Raises:
        UserError: the file cannot be fetched or has another checksum.
    """
    logger.info("Downloading %s", public_address(address))
    with limited_session() as session:
        _fetch(session, address, checksum, path, f"or put the file by hand at {path}")
    return path


def _is_whole(path: Path, checksum: str) -> bool:
    return path.is_file() and _digest(path, checksum) == checksum


def _digest(path: Path, checksum: str) -> str:
    """Checksum of a file by the algorithm that made another checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHMS[len(checksum)]).hexdigest()


def _expect(checksum: str) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        found = _digest(path, checksum)
        if found != checksum:
            raise WrongContent(f"checksum {found} found, {checksum} expected")

    return check


def _fetch(
    session: requests.Session,
    address: str,
    checksum: str,
    path: Path,
    remedy: str,
    retries: int = 3,
) -> None:
    """As ``fetch_file``; ``remedy`` is what a user can do besides running again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by `atomic`, which would remove what has arrived.
    beginning = path.with_name(f".partial-{path.name}")
    try:
        fetch(session, address, beginning, _expect(checksum), logger.warning, retries=retries)
    except UserError as error:
        raise UserError(f"{error}; run again later, {remedy}.") from None
    beginning.replace(path)
