"""Reading from HTTP servers: time limits, few redirects, and a start where the last one ended.

Used by the Snakefile too, so it needs nothing but requests.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path

import requests

from maskmake.data.addresses import public_address
from maskmake.runtime.errors import UserError

FIRST_PAUSE = 1.0  # seconds before the first retry; each further pause is twice as long
TIMEOUT = (10, 60)  # seconds to connect, seconds between two pieces of an answer
MOST_REDIRECTS = 5
CHUNK_BYTES = 1 << 14  # what a broken connection may lose

# Of the statuses below 500 these may pass by themselves: accepted, timeout, too early, too many
# requests.
PASSING_STATUSES = {202, 408, 425, 429}
WITH_A_FILE = {200, 206}
NOT_SATISFIABLE = 416  # the file ends before the place from which the rest was asked for
FINAL_FAULTS = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
)
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class WrongContent(Exception):
    """A file arrived whole but is not the file that was expected."""


def limited_session() -> requests.Session:
    """A session that follows few redirects; its requests still need ``timeout=TIMEOUT``."""
    session = requests.Session()
    session.max_redirects = MOST_REDIRECTS
    return session


def ask(session: requests.Session, verb: str, address: str, **options) -> requests.Response:
    """The answer of a server, whose content has yet to be read.

    Args:
        session: as ``limited_session`` gives.
        verb: GET or HEAD.
        address: http or https.
        options: of requests.

    Raises:
        requests.RequestException: there is no answer, or the address or one to which it leads is
            none.
    """
    try:
        return session.request(verb, address, stream=True, timeout=TIMEOUT, **options)
    except requests.RequestException:
        raise
    except ValueError:  # of urllib and of urllib3, for some of the hosts that cannot be one
        raise requests.exceptions.InvalidURL from None


def fetch(
    session: requests.Session,
    address: str,
    path: Path,
    check: Callable[[Path], None],
    say: Callable[[str], None],
    validator: str = "",
    retries: int = 3,
    **options,
) -> None:
    """Fetch a file; what has arrived stays when it fails, and the next call goes on there.

    A failure that may pass is tried again ``retries`` times after pauses of 1, 2, 4, ... seconds.
    A refusal such as "not found" is final.

    Args:
        session: as ``limited_session`` gives.
        address: http or https.
        path: the file; what is there is taken for the beginning of it.
        check: raises ``WrongContent`` where the whole file is another one; it is then fetched from
            its beginning.
        say: called with a sentence before each retry.
        validator: entity tag or time of the file on the server, where no check knows the content:
            if it has changed, the server sends the file from its beginning.
        retries: further attempts, from 0.
        options: of requests.

    Raises:
        UserError: the file cannot be fetched; its text ends before a remedy.
    """
    name = public_address(address)
    for attempt in range(retries + 1):
        try:
            _fetch_rest(session, address, path, validator, options)
            return check(path)
        except (requests.RequestException, WrongContent) as error:
            if isinstance(error, WrongContent):
                path.unlink(missing_ok=True)
            if attempt == retries or _is_final(error):
                raise UserError(f"{name}: {reason(error)}") from None
            pause = FIRST_PAUSE * 2**attempt
            say(f"{name}: {reason(error)}; again in {pause:g} s")
        time.sleep(pause)


def _fetch_rest(
    session: requests.Session, address: str, path: Path, validator: str, options: dict
) -> None:
    start = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # a range is one of the bytes that are sent
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator:
            headers["If-Range"] = validator
    with ask(session, "GET", address, headers=headers, **options) as answer:
        if answer.status_code == NOT_SATISFIABLE and start:
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if total == str(start):
                return
            raise WrongContent(f"{start} bytes are here, {total or 'fewer'} there")
        if answer.status_code not in WITH_A_FILE:
            raise requests.HTTPError(response=answer)
        partial = answer.status_code == requests.codes.partial
        found = RANGE.match(answer.headers.get("Content-Range", ""))
        if partial and (found is None or int(found[1]) != start):
            raise WrongContent("another part of the file than was asked for")
        # Otherwise a tar.gz of some servers would be unpacked, and go on at a wrong place.
        answer.raw.headers.pop("Content-Encoding", None)
        with path.open("ab" if partial else "wb") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
        if partial and found and found[2] != "*" and path.stat().st_size < int(found[2]):
            raise requests.ConnectionError(f"{path.stat().st_size} of {found[2]} bytes")


def _is_final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    if not isinstance(error, requests.HTTPError):
        return isinstance(error, FINAL_FAULTS)
    status = error.response.status_code
    return status < 500 and status not in PASSING_STATUSES


def reason(error: Exception) -> str:
    """What went wrong, without any part of the address, which may hold a key."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP status {error.response.status_code} ({error.response.reason})"
    if isinstance(error, WrongContent):
        return str(error)
    if isinstance(error, requests.TooManyRedirects):
        return f"more than {MOST_REDIRECTS} redirects"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "it leads to an address that is neither http nor https"
    if isinstance(error, requests.exceptions.InvalidURL):
        return "it has, or leads to, a host that cannot be one"
    if isinstance(error, requests.Timeout):
        limit = TIMEOUT[0] if isinstance(error, requests.ConnectTimeout) else TIMEOUT[1]
        return f"no answer within {limit} s"
    # requests wraps the system's plain words ("Connection refused") several times over.
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    return f"no whole answer ({type(cause).__name__ if '/' in str(cause) else cause})"
