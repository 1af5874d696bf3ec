"""Which pixels of a label are ignored: a short text that the audit writes into the manifest.

The text is ``none``, or a list such as ``0;255``, ``#ff0000`` or ``transparent`` of what is ignored
in this file. Whatever the file has there changes nothing that is made of it.
"""

from collections.abc import Collection

import numpy as np

from maskmake.data.label_files import LabelFile
from maskmake.data.label_values import is_foreground, meaning_of, packed

NONE, TRANSPARENT = "none", "transparent"

Ignore = int | str | list[int | str] | None  # ``dataset.ignore``


def ignored_text(ignore: Ignore, file: LabelFile) -> str:
    """What is ignored in a label.

    Args:
        ignore: values, colours or "transparent"; None: what the file itself says has no data.
        file: the label.
    """
    if ignore is None:
        return NONE if file.nodata is None else str(file.nodata)
    listed = ignore if isinstance(ignore, list) else [ignore]
    return meaning_of(listed) if listed else NONE


def ignored_pixels(file: LabelFile, text: str) -> np.ndarray | None:
    """The ignored pixels, (H, W) bool, of a label; None: none are."""
    if text == NONE:
        return None
    parts = text.split(";")
    ignored = np.zeros(file.values.shape[:2], bool)
    if parts != [TRANSPARENT]:
        values, colour = packed(file.values), file.values.ndim == 3
        for part in parts:  # one by one, since values and colours may be listed together
            if part != TRANSPARENT:
                ignored |= is_foreground(values, part, colour)
    if TRANSPARENT in parts and file.clear is not None:
        ignored |= file.clear
    return ignored if ignored.any() else None


def without_ignored(file: LabelFile, ignored: np.ndarray | None) -> np.ndarray:
    """The values of a label, with 0 or black where they are ignored."""
    if ignored is None:
        return file.values
    values = file.values.copy()
    values[ignored] = 0
    return values


def occurring(file: LabelFile, text: str) -> Collection[str]:
    """What of the text a label has."""
    return {part for part in text.split(";") if ignored_pixels(file, part) is not None}
