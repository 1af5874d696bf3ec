"""Fetching files, each verified by its checksum."""

import hashlib
import time
from pathlib import Path
from urllib.parse import quote

import requests

from maskmake.runtime.errors import UserError
from maskmake.runtime.files import atomic
from maskmake.runtime.log import logger

FIRST_PAUSE = 1.0  # seconds before the first retry; each further pause is twice as long
TIMEOUT = (10, 60)  # seconds to connect, seconds between two pieces of an answer
CHUNK_BYTES = 1 << 20

# Of the statuses 400-499 these may pass by themselves: timeout, too early, too many requests.
PASSING_STATUSES = {408, 425, 429}

ALGORITHMS = {32: "md5", 64: "sha256"}  # of a checksum, by its hexadecimal digits

DATASET_REMEDY = (
    "fix dataset.download, or put the files by hand into the folders dataset.images and "
    "dataset.labels"
)


class ChecksumMismatch(Exception):
    """A file arrived whole but is not the file that was expected."""


def download(
    url: str, checksums: dict[str, str], destination: str | Path, retries: int = 3
) -> None:
    """Fetch each ``url/<name>`` to ``destination/<name>`` unless it is there already.

    A file of the wrong checksum is replaced, and removed where it cannot be replaced. A file
    that fails is tried again ``retries`` times after pauses of 1, 2, 4, ... seconds; a refusal
    such as "not found" is final.

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
    logger.info("Downloading %d of %d files from %s", len(missing), len(checksums), url)
    with requests.Session() as session:
        for name in missing:
            paths[name].unlink(missing_ok=True)
            address = f"{url.rstrip('/')}/{quote(name)}"
            _fetch(session, address, checksums[name], paths[name], DATASET_REMEDY, retries)


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
    logger.info("Downloading %s", address)
    with requests.Session() as session:
        _fetch(session, address, checksum, path, f"or put the file by hand at {path}")
    return path


def _is_whole(path: Path, checksum: str) -> bool:
    return path.is_file() and _digest(path, checksum) == checksum


def _digest(path: Path, checksum: str) -> str:
    """Checksum of a file by the algorithm that made another checksum."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHMS[len(checksum)]).hexdigest()


def _fetch(
    session: requests.Session,
    address: str,
    checksum: str,
    path: Path,
    remedy: str,
    retries: int = 3,
) -> None:
    """As ``fetch_file``; ``remedy`` is what a user can do besides running again."""
    # urllib3's Retry sees neither a broken body nor a wrong checksum, so one loop covers all.
    for attempt in range(retries + 1):
        try:
            return _fetch_once(session, address, checksum, path)
        except (requests.RequestException, ChecksumMismatch) as error:
            if attempt == retries or _is_final(error):
                raise UserError(
                    f"{address}: {_reason(error)}; run again later, {remedy}."
                ) from error
            pause = FIRST_PAUSE * 2**attempt
            logger.warning("%s: %s; again in %g s", address, _reason(error), pause)
        time.sleep(pause)


def _fetch_once(session: requests.Session, address: str, checksum: str, path: Path) -> None:
    with session.get(address, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        with atomic(path) as temporary:
            with temporary.open("wb") as file:
                for chunk in response.iter_content(CHUNK_BYTES):
                    file.write(chunk)
            found = _digest(temporary, checksum)
            if found != checksum:
                raise ChecksumMismatch(f"checksum {found} found, {checksum} expected")


def _is_final(error: Exception) -> bool:
    """Whether the server refused the request, so that asking again is of no use."""
    if not isinstance(error, requests.HTTPError):
        return False
    status = error.response.status_code
    return 400 <= status < 500 and status not in PASSING_STATUSES


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError):
        return f"HTTP status {error.response.status_code} ({error.response.reason})"
    if isinstance(error, ChecksumMismatch):
        return str(error)
    # requests wraps the system's plain words ("Connection refused") several times over.
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return f"no whole answer ({cause})"
