"""Which maskmake this is."""

import subprocess
from importlib.resources import files
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def version() -> str:
    """The number of the version.

    It is in a text file. As a constant in a module it would be part of the hashes of code, and each
    release would train everything again.
    """
    return files("maskmake").joinpath("VERSION").read_text().strip()


def commit() -> str | None:
    """The commit of this code, with ``-dirty`` after an edit; None where git does not know it."""
    if _git("ls-files", "--error-unmatch", "VERSION") is None:
        return None  # a copy, perhaps inside the repository of a user
    return _git("describe", "--always", "--dirty", "--exclude=*")


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(FOLDER), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return done.stdout.strip() if done.returncode == 0 else None
