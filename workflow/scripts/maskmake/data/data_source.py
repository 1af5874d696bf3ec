"""Which data and which model results were made from. Read by the Snakefile."""

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from maskmake.data.file_versions import read_record, sum_of
from maskmake.data.layouts import is_pattern
from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError

KINDS = ("images", "labels")


def places(section: dict) -> dict[str, list[str]]:
    """Where the configuration section ``dataset`` has its ``images`` and its ``labels``.

    Folders are as the configuration writes them, so that a working folder may be moved. Addresses
    have no secrets in the settings from which this is called.
    """
    if section["synthesis"]:
        return {kind: ["dataset.synthesis"] for kind in KINDS}
    if section["table"]:
        return {kind: [section["table"]] for kind in KINDS}
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        names = [section[kind]] if section[kind] else []
        if section["download"]:
            names.append(f"{section['download']['url'].rstrip('/')}/{kind.removesuffix('s')}")
        if section["storage"]:
            names += [address for address, _ in stored_items(section["storage"][kind])]
        found[kind] = names
    return found


def stored_items(section) -> list[tuple[str, str | None]]:
    """Addresses of ``dataset.storage.images`` or ``labels``, each with its SHA-256 or None."""
    items = section if isinstance(section, list) else [section]
    return [
        (item, None) if isinstance(item, str) else (item["address"], item["sha256"])
        for item in items
    ]


def named_places(dataset: dict) -> dict[str, str]:
    """Where the images and the labels of a data set come from, each in a few words.

    Args:
        dataset: the section of the configuration.
    """
    if drawn := dataset["synthesis"]:
        return dict.fromkeys(("images", "labels"), f"synthetic {drawn['kind']}")
    return {
        kind: names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""
        for kind, names in places(dataset).items()
    }


def folder_name(place: str) -> str:
    """A name for a folder of results, after the last part of a path.

    Only letters, digits, ``_``, ``.`` and ``-`` stay, since braces are wildcards of Snakemake.
    """
    name = Path(os.path.normpath(Path(place).absolute())).name
    return re.sub(r"[^\w.-]+", "_", name)[-100:].lstrip(".") or "_"


def name_of_images(images: str | list[str]) -> str:
    """A folder's name: of a pattern or of several paths or addresses the one around the first."""
    if not isinstance(images, str):
        address = urlsplit(images[0])
        if address.scheme and address.netloc:
            return folder_name(PurePosixPath(address.path).parent.name or address.netloc)
        images = images[0] if Path(images[0]).is_dir() else str(Path(images[0]).parent)
    while is_pattern(images):
        images = str(Path(images).parent)
    return folder_name(images)


def check_source(
    results: str, record: str, now: dict[str, list[str]], files: Iterable[str] = ()
) -> None:
    """Refuse to put what is made from other data in place of what is there, or among it.

    Data at another place is the same if the files are, by their names and bytes.

    Args:
        results: the folder of the results.
        record: file with the places that they were made from; without it they are accepted.
        now: places of the configuration, by kind, such as ``places`` gives them.
        files: images and labels there, as far as they lie in folders.

    Raises:
        UserError: the results were made from others, or the record is damaged.
    """
    if not Path(record).is_file():
        return
    try:
        before: dict[str, list[str]] = read_document(record, dict[str, list[str]])
        other = [kind for kind in now if not _share_a_place(before[kind], now[kind])]
    except (UserError, KeyError):
        raise UserError(
            f"{record}: damaged; expected what the results were made from; remove it if that is "
            "what the configuration names."
        ) from None
    if other and not _have_same_files(Path(record).with_name(".contents.csv"), list(files)):
        made = " and ".join(f"the {kind} in {_shown(before[kind])}" for kind in other)
        found = " and ".join(_shown(now[kind]) for kind in other)
        raise UserError(
            f"{results}: made from {made}, but the configuration names {found}; expected the same; "
            f"set dataset.name to another name, or, to replace these results, remove {record}."
        )


def _share_a_place(before: list[str], now: list[str]) -> bool:
    return any(_is_same(old, new) for old in before for new in now)


def _is_same(old: str, new: str) -> bool:
    if os.path.normpath(old) == os.path.normpath(new):
        return True
    return Path(old).exists() and Path(new).exists() and Path(old).samefile(new)


def _have_same_files(contents: Path, files: list[str]) -> bool:
    # In their order, images before labels, so that the two exchanged are others.
    recorded = read_record(contents).items()
    seen = [(Path(file).name, content.sha256) for file, content in recorded]
    if not files or [Path(file).name for file in files] != [name for name, _ in seen]:
        return False
    return seen == [(Path(file).name, sum_of(file)) for file in files]


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else "no folder"
