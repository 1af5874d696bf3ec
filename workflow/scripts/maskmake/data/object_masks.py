"""Labels that lie in several files, each with one object of an image."""

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np

from maskmake.data.file_checks import check_name
from maskmake.data.label_files import LabelFile, LabelReader, open_label_files, read_label
from maskmake.data.label_names import split_files
from maskmake.data.label_values import colour_name, lines_between, packed
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256


def sum_of_files(label: str | Path) -> str:
    """SHA-256 of the file of a label; of the names and sums of several ones."""
    files = split_files(label)
    if len(files) == 1:
        return sha256(files[0])
    lines = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


def open_label(label: str | Path, name: str) -> list[LabelReader]:
    """What reads a label, or each label of a stack; see ``open_label_files``.

    Args:
        label: text of ``join_files``.
        name: of the masks of its image.
    """
    files = split_files(label)
    if len(files) == 1:
        return open_label_files(files[0], name)
    for file in files:
        check_name(file, name)
    return [partial(read_label_files, label)]


def read_label_files(label: str | Path) -> LabelFile:
    """Read a label; the objects of several files are united, with lines between those that touch.

    A line is background and one pixel wide. It is taken from the larger of the two objects, so that
    small ones stay. Of several files, what is clear in each of them is clear.

    Args:
        label: text of ``join_files``.

    Returns:
        As ``read_label`` gives it. Of several files: (H, W), 0 and the values of the objects.

    Raises:
        UserError: as ``read_label``, or a file has more than one object value, or another size than
            the first one.
    """
    files = split_files(label)
    first = read_label(files[0])
    if len(files) == 1:
        return first
    united, clear = packed(first.values), first.clear
    numbers = np.zeros(united.shape, np.int32)
    for number, file in enumerate(files, start=1):
        found = first if number == 1 else read_label(file)
        mask = packed(found.values)
        _check_object(file, mask, files[0], numbers.shape, found.values.ndim == 3)
        inside = (mask > 0) & (numbers == 0)
        numbers[inside] = number
        if number > 1:
            united = np.where(inside, mask, united)
            clear = None if clear is None or found.clear is None else clear & found.clear
    return LabelFile(np.where(lines_between(numbers), 0, united), clear, first.nodata)


def _check_object(
    file: Path, mask: np.ndarray, first: Path, shape: tuple[int, ...], colour: bool
) -> None:
    if mask.shape != shape:
        raise UserError(
            f"{file}: {mask.shape[0]} x {mask.shape[1]} pixels (height x width), but {first} has "
            f"{shape[0]} x {shape[1]}; expected masks of one image to have one size; export it "
            "again."
        )
    top = mask.max()
    other = mask[(mask != 0) & (mask != top)]
    if other.size:
        found = f"the values {other[0]} and {top} beside 0"
        if colour:
            found = f"the colours {colour_name(other[0])} and {colour_name(top)} beside black"
        raise UserError(
            f"{file}: {found}; expected one value, since its image has several masks, one for each "
            "object; if the file is a whole label, name only such files in dataset.labels."
        )
