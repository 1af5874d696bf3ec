"""Masks that were made beside images which could not be used: the next attempt keeps them.

The table of a shard is an output of its rule, so Snakemake deletes it before the next attempt,
which has to try the other images again. Its rows are therefore in a record that is no output. A row
is kept only for the same bytes of image and mask, and for the same model, settings and code.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd

from maskmake.network.settings import PredictSettings
from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_json
from maskmake.runtime.log import logger

# A row takes 0.7 KB and its two paths, and a document that is read may have 32 MiB.
MOST_KEPT = 20_000


class KeptMask(TypedDict):
    """Sums of the files of an image and its mask, and the row of the table."""

    image_sha256: str
    mask_sha256: str
    row: dict


class Record(TypedDict):
    """What the masks were made with, a digest; the side of their tiles in pixels; the masks."""

    made_with: str
    side: int
    masks: list[KeptMask]


class Kept(NamedTuple):
    """Rows of the table by id and path of the image, and the side of the tiles in pixels."""

    rows: dict[tuple[str, str], dict]
    side: int


NOTHING = Kept({}, 0)


def digest_of_model(files: Iterable[str], settings: PredictSettings, code: dict[str, str]) -> str:
    """SHA-256 of all that masks depend on beside their images."""
    parts = [[sha256(file) for file in files], asdict(settings), code]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_kept(record: Path, made_with: str, sums: Mapping[str, str], masks: Path) -> Kept:
    """The rows that still hold, if there are any; none of a damaged record, with a warning.

    Args:
        record: which ``write_kept`` wrote, or nothing.
        made_with: of ``digest_of_model``.
        sums: SHA-256 of each image file by its path, as it is now.
        masks: their folder.
    """
    if not record.is_file():
        return NOTHING
    try:
        found: Record = read_document(record, Record)
    except UserError:  # it only saves time, so nothing is lost with it
        logger.warning("%s: damaged, so the masks that it lists are made again.", record)
        return NOTHING
    if found["made_with"] != made_with:
        return NOTHING
    rows = {}
    for kept in found["masks"]:
        row = kept["row"]
        mask = masks / f"{row['id']}.png"
        same_image = sums.get(row["image"]) == kept["image_sha256"]
        if same_image and mask.is_file() and sha256(mask) == kept["mask_sha256"]:
            known = {name: np.nan if value is None else value for name, value in row.items()}
            rows[row["id"], row["image"]] = known
    return Kept(rows, found["side"])


def write_kept(
    record: Path,
    made_with: str,
    sums: Mapping[str, str],
    masks: Path,
    table: pd.DataFrame,
    side: int,
) -> None:
    """Record the rows of a table; see ``read_kept``.

    Args:
        record: output.
        made_with: of ``digest_of_model``.
        sums: SHA-256 of each image file by its path, as it was before it was read; empty where
            it was not known.
        masks: their folder.
        table: a row for each mask.
        side: of the tiles, pixels.
    """
    kept: list[KeptMask] = [
        {
            "image_sha256": sums[row["image"]],
            "mask_sha256": sha256(masks / f"{row['id']}.png"),
            "row": row,
        }
        for row in table.head(MOST_KEPT).to_dict("records")
        if sums[row["image"]]
    ]
    write_json(record, Record(made_with=made_with, side=side, masks=kept))
