"""``SHA256SUMS``: which files a folder has to hold, to the byte."""

import re
from pathlib import Path, PurePosixPath

from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_text

SUMS = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
REMEDY = "copy the whole folder again from where it was made"


def write_sums(folder: Path) -> None:
    """Write the sums of all files below a folder, as ``sha256sum`` writes and checks them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    write_text(folder / SUMS, "".join(lines))


def check_sums(folder: Path) -> set[str]:
    """Refuse a folder of which a file is missing or has other bytes than ``SHA256SUMS`` lists.

    Returns:
        The names of the files that are listed, such as ``fold0/model.keras``.

    Raises:
        UserError: naming the file.
    """
    sums = _listed(folder / SUMS)
    for name, expected in sums.items():
        path = folder / name
        try:
            found = sha256(path) if path.is_file() else None
        except OSError as error:  # such as a name that no disk can have
            raise UserError(
                f"{path}: {error.strerror}; expected a file of the package; {REMEDY}."
            ) from error
        if found is None:
            raise UserError(
                f"{path}: missing, but {folder / SUMS} lists it; expected a whole package; "
                f"{REMEDY}."
            )
        if found != expected:
            raise UserError(
                f"{path}: other bytes (SHA-256) than {folder / SUMS} lists; expected the file of "
                f"the package; {REMEDY}."
            )
    return set(sums)


def _listed(path: Path) -> dict[str, str]:
    """The sum of each file by its name."""
    if not path.is_file():
        raise UserError(
            f"{path}: missing; expected the sums of all files of a package; {REMEDY}, or make the "
            "package with the target export."
        )
    sums = {}
    for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
        found = LINE.fullmatch(line)
        name = PurePosixPath(found[2]) if found else None
        if found is None or name is None or name.is_absolute() or ".." in name.parts:
            raise UserError(
                f"{path}: line {number} is no sum of a file; expected 64 hexadecimal digits, two "
                f"spaces and a name; {REMEDY}."
            )
        sums[found[2]] = found[1]
    return sums
