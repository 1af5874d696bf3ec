"""Where images and trained runs lie. Read by the Snakefile, so nothing beyond jsonschema."""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from maskmake.data.folders import synthetic_names
from maskmake.data.pair_table import list_dataset_files
from maskmake.network.run_file import read_folds
from maskmake.runtime.errors import UserError

CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *]((?:image|label)/[^./\\][^/\\]*)")
PAGE_NAME = re.compile(r"(.+)_\d{4,}", re.DOTALL)  # as ``open_image_files`` names pages
FOLD_FOLDER = re.compile(r"fold(0|[1-9]\d*)")


class Dataset(NamedTuple):
    """Places and files of a data set.

    Attributes:
        images: folder or pattern of the images; empty where a table names them.
        labels: folder or pattern of the labels, likewise.
        image_files: every image, even if a rule has yet to make it; for ``storage`` the folder.
        label_files: every label, likewise.
        origin: ``folders`` for files that a user keeps, ``synthesis``, ``download`` or ``storage``.
        table: path of the table that names the files; None without one.
    """

    images: str
    labels: str
    image_files: list[str]
    label_files: list[str]
    origin: str
    table: str | None = None

    @property
    def files(self) -> list[str]:
        """Every file on which the audit depends, in the order in which it records them."""
        table = [self.table] if self.table else []
        return [*table, *self.image_files, *self.label_files]

    @classmethod
    def locate(cls, section: dict, made: str) -> "Dataset | None":
        """Find the data set of the configuration section ``dataset``.

        Args:
            section: ``dataset``, with its defaults.
            made: folder into which images are synthesised or downloaded.

        Returns:
            The data set; ``None`` if the section names none.

        Raises:
            UserError: the list of checksums cannot be read.
        """
        if section["table"]:
            files = list_dataset_files("", "", section["table"])
            images, labels = (list(map(str, listed)) for listed in files)
            return cls("", "", images, labels, "folders", section["table"])
        folders = section["images"], section["labels"]
        if all(folders) and (not section["download"] or all(map(os.path.isdir, folders))):
            files = list_dataset_files(*folders, None)
            images, labels = (list(map(str, listed)) for listed in files)
            return cls(*folders, images, labels, "folders")
        made_folders = f"{made}/image", f"{made}/label"
        if section["synthesis"]:
            names = synthetic_names(section["synthesis"]["images"])
            images, labels = ([f"{folder}/{name}" for name in names] for folder in made_folders)
            return cls(*made_folders, images, labels, "synthesis")
        if section["storage"]:  # whose files have no names until they are fetched
            return cls(*made_folders, [made_folders[0]], [made_folders[1]], "storage")
        if section["download"]:
            paths = [f"{made}/{name}" for name in read_checksums(section["download"]["checksums"])]
            images, labels = (
                [path for path in paths if path.startswith(f"{folder}/")] for folder in made_folders
            )
            return cls(*made_folders, images, labels, "download")
        return None


def list_shards(images: dict[str, str | None], size: int) -> list[list[str]]:
    """Paths or addresses in shards of at most ``size``, one for each job of ``segment``.

    Args:
        images: name of the mask by path or address; None for the stem.
        size: images of a shard.

    Raises:
        UserError: the masks of two images would have the same name.
    """
    first_of_name: dict[str, str] = {}
    for path, given in images.items():
        name = _name_of_mask(path, given)
        if (earlier := first_of_name.setdefault(name, path)) != path:
            raise UserError(
                f"{path}: has the same stem as {earlier}, and the mask of either would be "
                f"{name}.png; expected different stems; rename one of them."
            )
    paths = list(images)
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def names_of_pages(images: dict[str, str | None]) -> dict[str, dict[str, str]]:
    """Which images have the name that a page of another one would have, if that is a stack.

    Args:
        images: as those of ``list_shards``.

    Returns:
        By the path of the image that may be a stack, the paths of the others by their names.
    """
    names = {_name_of_mask(path, given): path for path, given in images.items()}
    found: dict[str, dict[str, str]] = {}
    for name, path in names.items():
        if (page := PAGE_NAME.fullmatch(name)) and page[1] in names:
            found.setdefault(names[page[1]], {})[name] = path
    return found


def _name_of_mask(path: str, given: str | None) -> str:
    return given or Path(urlsplit(path).path if "://" in path else path).stem


def trained_folds(run: str) -> list[str]:
    """Folders of the folds of a trained run: those that its ``run.json`` lists.

    A run of 0.1.0 has no such file. Then they are all folders fold0, fold1 and so on.

    Raises:
        UserError: ``run.json`` is damaged, a fold or a file that ``segment`` needs is missing,
            folders that nothing lists are not numbered one by one, or the path has braces.
    """
    if "{" in run or "}" in run:  # in every input of a rule, and nothing escapes them
        raise UserError(
            f"segment.model: found '{run}'; Snakemake takes the braces in this path for wildcards; "
            "expected a path without braces; rename the folder or name a link to it."
        )
    listed = Path(run, "run.json")
    if listed.is_file():
        numbers = [fold["fold"] for fold in read_folds(listed)]
    else:
        numbers = _numbered_folders(run)
    folds = [f"{run}/fold{number}" for number in numbers]
    needed = [f"{fold}/{name}" for fold in folds for name in ("model.keras", "training.json")]
    for file in [f"{run}/decision.json", *needed]:
        if not Path(file).is_file():
            raise UserError(
                f"segment.model: {file} is missing; expected decision.json and, in each fold, "
                "model.keras and training.json; copy the whole folder of the trained run."
            )
    return folds


def _numbered_folders(run: str) -> list[int]:
    """Numbers of the folders fold0, fold1 and so on, without any gap."""
    names = [path.name for path in Path(run).glob("fold*") if path.is_dir()]
    numbers = sorted(int(match[1]) for name in names if (match := FOLD_FOLDER.fullmatch(name)))
    if not numbers:
        raise UserError(
            f"segment.model: found no folder fold0 in {run!r}; expected the folder of a trained "
            "run; fix the path or set segment.model to null."
        )
    if numbers != list(range(len(numbers))):
        raise UserError(
            f"segment.model: found the folds {', '.join(map(str, numbers))} in {run!r}; expected "
            "0, 1 and so on without a gap; copy the whole folder of the trained run."
        )
    return numbers


def version_of_checksums(path: str | Path) -> str:
    """A hash of what ``read_checksums`` gives, whatever the order and the blank lines are."""
    return hashlib.sha256(repr(sorted(read_checksums(path).items())).encode()).hexdigest()


def read_checksums(path: str | Path) -> dict[str, str]:
    """Read the lines ``<sha256>  image/<name>`` and ``<sha256>  label/<name>`` of a file.

    Blank lines are skipped.

    Returns:
        SHA-256 in lower-case hexadecimal by name (``image/0.png``), in the order of the file.

    Raises:
        UserError: the file cannot be read or has no images or labels, or a line is malformed,
            repeats a name or has one with braces.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as a list of checksums ({error}); set "
            "dataset.download.checksums to a text file."
        ) from None
    checksums: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = CHECKSUM_LINE.fullmatch(line.rstrip())
        if match is None:
            raise UserError(
                f'{path}, line {number}: "{line}"; expected "<sha256>  image/<name>" or '
                '"<sha256>  label/<name>"; fix the line.'
            )
        checksum, name = match.groups()
        if name in checksums:
            raise UserError(
                f"{path}, line {number}: {name} a second time; remove one of the lines."
            )
        if "{" in name or "}" in name:
            raise UserError(
                f"{path}, line {number}: {name} has braces, which Snakemake takes for wildcards; "
                "expected a name without them; rename the file."
            )
        checksums[name] = checksum.lower()
    for kind in ("image", "label"):
        if not any(name.startswith(f"{kind}/") for name in checksums):
            raise UserError(
                f"{path}: no line of the folder {kind}; expected one line for each image and each "
                "label to download; add the lines."
            )
    return checksums
