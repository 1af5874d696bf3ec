"""Masks of an attempt that did not make all of them: the next attempt keeps these.

The table of a shard is an output of its rule, so Snakemake deletes it before the next attempt,
which has to make the other masks. Its rows are therefore in a record that is no output: where
images could not be used, where the job was stopped or its disk was full, and, up to a minute
before, where it was killed. A row is kept only for the same bytes of image and mask, and for the
same model, settings and code.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple, Self, TypedDict

import numpy as np

from maskmake.network.settings import PredictSettings
from maskmake.runtime.documents import Keywords, read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_json
from maskmake.runtime.log import logger

# A row takes 0.8 KB, and a document that is read may have 32 MiB.
MOST_KEPT = 20_000
SECONDS_BETWEEN = 60  # from one writing of the record to the next; 20,000 rows take 2 s


# Of the table: id and image are texts, all else is numbers; null where there is none.
Row = Annotated[
    dict[str, Any],
    Keywords(
        required=["id", "image"],
        properties={key: {"type": "string"} for key in ("id", "image")},
        additionalProperties={"type": ["number", "null"]},
    ),
]


class KeptMask(TypedDict):
    """Sums of an image file and its mask, the side of the tiles in pixels, the row of the table."""

    image_sha256: str
    mask_sha256: str
    side: Annotated[int, Keywords(minimum=1)]
    row: Row


class Contents(TypedDict):
    """Of a record: what the masks were made with, a digest, and the masks."""

    made_with: str
    masks: list[KeptMask]


class Done(NamedTuple):
    """A mask that is there: its row of the table, and the side of its tiles in pixels."""

    row: dict[str, Any]
    side: int


def digest_of_model(files: Iterable[str], settings: PredictSettings, code: dict[str, str]) -> str:
    """SHA-256 of all that masks depend on beside their images."""
    parts = [[sha256(file) for file in files], asdict(settings), code]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class MaskRecord:
    """The record of the masks of a shard; as a context, it is written if the block does not end.

    Args:
        path: of the record.
        made_with: of ``digest_of_model``.
        sums: SHA-256 of each image file by its path, as it was before it was read; empty where
            it was not known.
        masks: their folder.
    """

    def __init__(self, path: Path, made_with: str, sums: Mapping[str, str], masks: Path):
        self._path, self._made_with, self._sums, self._masks = path, made_with, sums, masks
        self._kept: dict[tuple[str, str], KeptMask] = {}
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and self._kept:
            self.write()

    def read(self) -> dict[tuple[str, str], Done]:
        """The masks that still hold, by id and path of the image.

        Of a damaged record there is none, with a warning.
        """
        if not self._path.is_file():
            return {}
        try:
            found: Contents = read_document(self._path, Contents)
        except UserError:  # it only saves time, so nothing is lost with it
            logger.warning("%s: damaged, so the masks that it lists are made again.", self._path)
            return {}
        if found["made_with"] == self._made_with:
            self._kept = {_key(kept["row"]): kept for kept in found["masks"] if self._holds(kept)}
            logger.info("masks of the last attempt that are kept: %d", len(self._kept))
        return {
            key: Done(
                {name: np.nan if value is None else value for name, value in kept["row"].items()},
                kept["side"],
            )
            for key, kept in self._kept.items()
        }

    def _holds(self, kept: KeptMask) -> bool:
        mask = self._masks / f"{kept['row']['id']}.png"
        same_image = self._sums.get(kept["row"]["image"]) == kept["image_sha256"]
        return same_image and mask.is_file() and sha256(mask) == kept["mask_sha256"]

    def add(self, done: Done) -> None:
        """Record a mask, on the disk if the record was not written for a minute."""
        image = self._sums[done.row["image"]]
        if not image or len(self._kept) >= MOST_KEPT:
            return
        self._kept[_key(done.row)] = {
            "image_sha256": image,
            "mask_sha256": sha256(self._masks / f"{done.row['id']}.png"),
            "side": done.side,
            "row": done.row,
        }
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self.write()

    def write(self) -> None:
        """Write the record."""
        masks = list(self._kept.values())
        write_json(self._path, Contents(made_with=self._made_with, masks=masks))
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the record, since all masks are made."""
        self._path.unlink(missing_ok=True)


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["id"], row["image"]
