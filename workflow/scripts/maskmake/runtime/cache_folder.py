"""The folder of the user for what may be deleted at any time and is made again."""

import os
from pathlib import Path

from maskmake.runtime.errors import UserError


def private_folder() -> Path:
    """The folder ``maskmake`` in the user's folder for caches, which no one else can enter.

    Raises:
        OSError: it cannot be made.
        UserError: it is another user's, or cannot be written.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "maskmake"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise UserError(
            f"{folder}: belongs to user {owner}, who could run code in this job; remove it or set "
            "XDG_CACHE_HOME to a folder of your own"
        )
    folder.chmod(0o700)
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written; set XDG_CACHE_HOME to a folder that can be")
    return folder
