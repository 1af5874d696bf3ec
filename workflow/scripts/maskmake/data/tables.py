"""Reading the tables of a data set, each checked against its neighbours before it is used.

A damaged copy of a results folder often still parses: with rows missing, or with those of another
data set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import pandas as pd

from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, sha256

NUMBERS = ["height", "width", "channels", "image_offset", "label_offset"]
SUMS, SUM = ("sha256_image", "sha256_label"), r"[0-9a-f]{64}"

# Targets whose rule has another name.
RULES = {
    "predict": "predict_fold",
    "masks": "mask_run",
    "evaluate": "evaluate_run",
    "train": "train_fold",
    "diagnose": "diagnose_run",
}


class AuditRecord(TypedDict):
    """What other steps read of ``audit.json``.

    Attributes:
        manifest: SHA-256 of ``manifest.csv``; one of 0.1.0 has none.
        warnings: of the audit, one sentence each.
    """

    manifest: NotRequired[str]
    warnings: list[str]


def read_audit(path: str | Path) -> AuditRecord:
    """Read ``audit.json``.

    Raises:
        UserError: it is no JSON document, or a value is missing or not what it should be.
    """
    record: AuditRecord = read_document(path, AuditRecord)
    return record


def read_manifest(path: str | Path, audit: str | Path) -> pd.DataFrame:
    """Read ``manifest.csv``.

    Args:
        path: of the table.
        audit: ``audit.json``, which has its sum. One of 0.1.0 has none; then none is compared.

    Raises:
        UserError: the table is not the one that was written with the audit.
    """
    found = sha256(path)
    if read_audit(audit).get("manifest", found) != found:
        raise UserError(
            f"{path}: other bytes (SHA-256) than {audit} says; expected both as validate wrote "
            "them; add -R validate to the command once."
        )
    return read_csv(path)


def groups_of(manifest: pd.DataFrame) -> dict[str, str]:
    """By the id of each image of a manifest, its group."""
    return dict(zip(manifest["id"], manifest["group"], strict=True))


def read_index(path: str | Path) -> pd.DataFrame:
    """Read ``index.csv``. One of 0.1.0 has no sums.

    Raises:
        UserError: a column or a value is missing, or a row does not fit the one before it.
    """
    table = read_csv(path)
    check_columns(path, table, ["id", *NUMBERS], "binarize")
    sums = [table[name].astype(str) for name in SUMS if name in table]
    sound = (
        len(table)
        and all(pd.api.types.is_integer_dtype(kind) for kind in table[NUMBERS].dtypes)
        and (table[["height", "width", "channels"]] > 0).all(axis=None)
        and (table["image_offset"] == _offsets(table, ["height", "width", "channels"])).all()
        and (table["label_offset"] == _offsets(table, ["height", "width"])).all()
        and all(column.str.fullmatch(SUM).all() for column in sums)
    )
    if not sound:
        raise damaged(path, "a row does not follow from the one before it", "binarize")
    return table


def _offsets(table: pd.DataFrame, sides: list[str]) -> np.ndarray:
    return np.concatenate([[0], table[sides].prod(axis=1).cumsum()[:-1]])


def read_splits(path: str | Path, index: pd.DataFrame) -> pd.DataFrame:
    """Read ``splits.csv``.

    Args:
        path: of the table.
        index: table of ``index.csv``, whose images are to have a role each.

    Raises:
        UserError: the images are others, or a role or fold is none.
    """
    table = read_csv(path)
    check_columns(path, table, ["id", "role", "fold"], "split")
    check_ids(path, table, index["id"].tolist(), "index.csv", "split")
    validates = table["fold"].notna()
    sound = (
        table["role"].isin(["train", "validation", "test"]).all()
        and not (validates & (table["role"] == "test")).any()
        and validates[table["role"] == "validation"].all()
        and pd.api.types.is_numeric_dtype(table["fold"])
        and (table["fold"].dropna() % 1 == 0).all()
        and (table["fold"].dropna() >= 0).all()
    )
    if not sound:
        raise damaged(path, "a role or a fold is none", "split")
    return table


def check_columns(path: str | Path, table: pd.DataFrame, columns: Sequence[str], step: str) -> None:
    """Refuse a table without one of its columns.

    Args:
        path: of the table.
        table: its contents.
        columns: names.
        step: the target that makes the table.
    """
    missing = [name for name in columns if name not in table]
    if missing:
        reason = f"no column {missing[0]}, so it is damaged or of an earlier version"
        raise damaged(path, reason, step)


def check_ids(
    path: str | Path, table: pd.DataFrame, ids: Sequence[str], source: str, step: str
) -> None:
    """Refuse a table that has not one row for each of some images, in their order.

    Args:
        path: of the table.
        table: its contents.
        ids: of the images.
        source: the file that names them.
        step: the target that makes the table.
    """
    found = table["id"].tolist()
    if found == list(ids):
        return
    odd = set(found) ^ set(ids)
    where = f"'{min(odd)}' is in one of them" if odd else "they differ in their order"
    raise damaged(path, f"{len(found)} rows for {len(ids)} images of {source}; {where}", step)


def damaged(path: str | Path, found: str, step: str) -> UserError:
    """The sentence for a result that is not as it was written."""
    return UserError(
        f"{path}: {found}; expected it as {step} wrote it; copy the results again, or add "
        f"-R {RULES.get(step, step)} to the command once."
    )
