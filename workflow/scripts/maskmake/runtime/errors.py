"""Faults that a user can fix, as sentences."""

import errno
import re
from pathlib import Path

STORAGE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}

# What moves the cursor of a terminal, colours it or turns the direction of writing.
CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class UserError(Exception):
    """A fault that the user can fix.

    Its text is one sentence for each fault: which file or key, what was found, what was
    expected, what to do.
    """


def dead_link(path: Path) -> UserError:
    """What is to be said of a link to something that is not there."""
    return UserError(
        f"{path}: a link to {path.readlink()}, which is not there; expected a file; fetch what the "
        "link names, or remove it."
    )


def describe_storage_fault(error: OSError) -> str:
    """The sentence for an error of ``STORAGE_FAULTS``."""
    # Of two files, as of a copy or a renaming, the second is written.
    where = error.filename2 or error.filename or "the results folder"
    return f"{where}: {error.strerror}; free space or fix the permissions, then run again."


def first_line(error: Exception | str) -> str:
    """The first line of what a library says of an error, or else the kind of the error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def printable(text: str) -> str:
    """A text for a terminal or a log, with the control characters of a file name written out."""
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
