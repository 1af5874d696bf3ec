"""Faults that a user can fix, as sentences."""

import errno

STORAGE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


class UserError(Exception):
    """A fault that the user can fix.

    Its text is one sentence for each fault: which file or key, what was found, what was
    expected, what to do.
    """


def describe_storage_fault(error: OSError) -> str:
    """The sentence for an error of ``STORAGE_FAULTS``."""
    where = error.filename or "the results folder"
    return f"{where}: {error.strerror}; free space or fix the permissions, then run again."
