"""Whether a package is whole: all its files are there, to the byte."""

from collections.abc import Iterable
from pathlib import Path

from maskmake.network.package_file import PREPROCESSING
from maskmake.network.run_file import read_folds
from maskmake.runtime.errors import UserError
from maskmake.runtime.sums import REMEDY, SUMS, check_sums

NEEDED = "model.onnx", PREPROCESSING, "decision.json", "run.json"
FOLD_FILES = "model.keras", "training.json"


def is_package(folder: Path) -> bool:
    """Whether the folder of a model is a package, of which one of these two may have been lost."""
    return (folder / SUMS).is_file() or (folder / PREPROCESSING).is_file()


def check_package(folder: Path) -> None:
    """Refuse a package of which a file is missing or has other bytes than ``SHA256SUMS`` lists.

    Raises:
        UserError: naming the file, or ``SHA256SUMS`` where that lacks a file of every package.
    """
    listed = check_sums(folder)
    _check_listed(folder, listed, NEEDED)
    folds = [f"fold{fold['fold']}" for fold in read_folds(folder / "run.json")]
    _check_listed(folder, listed, [f"{fold}/{name}" for fold in folds for name in FOLD_FILES])


def _check_listed(folder: Path, listed: set[str], needed: Iterable[str]) -> None:
    for name in needed:
        if name not in listed:
            raise UserError(
                f"{folder / SUMS}: lacks {name}; expected the sums of all files of a package; "
                f"{REMEDY}."
            )
