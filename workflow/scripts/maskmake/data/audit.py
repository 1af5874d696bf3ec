"""What is wrong with a data set: every fault of every file, found in one pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.audit_page import audit_page
from maskmake.data.file_checks import check_name
from maskmake.data.file_versions import read_record, scan, write_record
from maskmake.data.findings import Finding, is_exchanged, pair_findings, sentences
from maskmake.data.images import read_pixels
from maskmake.data.label_facts import LabelFacts, label_facts
from maskmake.data.label_faults import name_labels
from maskmake.data.label_meaning import LabelSettings, settle
from maskmake.data.label_names import describe_files, split_files
from maskmake.data.object_masks import read_label_files, sum_of_files
from maskmake.data.pair_facts import PairFacts, likely_mask, pair_facts
from maskmake.data.pair_table import list_dataset_files
from maskmake.data.pairing import Pair, find_pairs, group_of
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_csv, write_json, write_text
from maskmake.runtime.log import logger
from maskmake.runtime.processes import map_in_order

MANIFEST_COLUMNS = [
    "id", "image", "label", "height", "width", "channels", "dtype", "label_maximum",
    "label_foreground", "sha256_image", "sha256_label", "foreground", "group", "role",
]  # fmt: skip

PRINTED_FAULTS = 20
NAMED_COPIES = 5

PROCESS_BYTES = 2**24  # of images, for which another process takes less time than it saves


@dataclass(frozen=True)
class Audit:
    """Outcome of an audit.

    Attributes:
        faults: one sentence each; training must not start while there are any.
        warnings: one sentence each; worth knowing, no obstacle.
        manifest: one row for each pair that could be read, in natural order of the ids.
        findings: those of single pairs; their faults and warnings are also among the above.
        facts: what each pair of the manifest looks like, by its id.
    """

    faults: list[str]
    warnings: list[str]
    manifest: pd.DataFrame
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, PairFacts] = field(default_factory=dict)


def validate_dataset(
    settings: dict,
    record: str,
    json_path: str,
    html_path: str,
    manifest_path: str,
) -> None:
    """Audit a data set, write the audit, and record what the files held.

    Args:
        settings: arguments of ``audit_dataset``.
        record: file of ``file_versions``, from which the Snakefile sees that an image changed.
        json_path, html_path, manifest_path: see ``write_audit``.

    Raises:
        UserError: the data set has faults; then only the page at ``html_path`` is written.
    """
    # Before the audit, so that a file which changes meanwhile is seen to have changed.
    contents = scan(_files_of(settings), read_record(record))
    audit = audit_dataset(**settings)
    for warning in audit.warnings:
        logger.warning("%s", warning)
    verdict = f"{_verdict(audit)}: {html_path}"
    if audit.faults:
        write_page(audit, html_path)
        raise UserError(f"{fault_error(audit.faults, html_path)}\n{verdict}")
    write_audit(audit, json_path, html_path, manifest_path)
    sums = {table: sha256(table)} if (table := settings.get("table")) else {}
    for kind in ("image", "label"):
        columns = audit.manifest[kind], audit.manifest[f"sha256_{kind}"]
        for text, sha256_of_text in zip(*columns, strict=True):
            files = list(map(str, split_files(text)))
            known = [sha256_of_text] if len(files) == 1 else map(sha256, files)
            sums |= zip(files, known, strict=True)
    for file, sha256_of_file in sums.items():
        contents[file] = contents[file]._replace(sha256=sha256_of_file)
    write_record(record, contents)
    logger.info("%s", verdict)


def _verdict(audit: Audit) -> str:
    """How many pairs there are, and how much was found."""
    counts = {
        "pair": len(audit.manifest), "fault": len(audit.faults), "warning": len(audit.warnings)
    }  # fmt: skip
    return ", ".join(
        f"{count or 'no'} {what}{'' if count < 2 else 's'}" for what, count in counts.items()
    )


def _files_of(settings: dict) -> list[str]:
    """Every file of a data set, as the Snakefile lists them."""
    table = settings.get("table")
    files = list_dataset_files(settings["images"], settings["labels"], table)
    return [*([table] if table else []), *(str(file) for listed in files for file in listed)]


def audit_dataset(
    images: str,
    labels: str,
    threshold: float | None = None,
    tolerance: float = 0.01,
    empty_labels: str = "refuse",
    groups: str | None = None,
    foreground: str | int | list[str | int] = "auto",
    table: str | None = None,
    processes: int = 1,
) -> Audit:
    """Look at every file of a data set and collect all its faults.

    Args:
        images, labels: folders or patterns, see ``pairing.find_pairs``.
        threshold, tolerance, empty_labels, foreground: see ``LabelSettings``.
        groups: regular expression with one group, searched in each id; None makes each image a
            group of its own.
        table: path of a table of pairs, instead of the folders.
        processes: at most so many read files at the same time; the result is the same.
    """
    faults: list[str] = []
    warnings: list[str] = []
    pairs = find_pairs(images, labels, table, faults, warnings)
    if not pairs:
        return Audit(faults, warnings, pd.DataFrame(columns=MANIFEST_COLUMNS))
    logger.info("Reading %d images and their labels.", len(pairs))
    rows, labels_found, facts = _read_all(pairs, foreground, processes, faults)
    names = {pair.id: group_of(pair, groups, faults) for pair in pairs}
    meaning, shares = "", {}
    if labels_found:
        exchanged = {
            r["label"] for r in rows if is_exchanged(facts[r["id"]], labels_found[r["label"]])
        }
        labels_right = {path: look for path, look in labels_found.items() if path not in exchanged}
        settled = settle(
            labels_right or labels_found,
            LabelSettings(foreground, threshold, tolerance, empty_labels),
        )
        faults.extend(settled.faults if labels_right else [])
        warnings.extend(settled.warnings)
        meaning = settled.meaning
        shares = {path: facts.share(meaning) for path, facts in labels_found.items()}
    manifest = pd.DataFrame(
        [
            {
                **row,
                "group": names[row["id"]],
                "label_foreground": meaning,
                "foreground": shares[row["label"]],
            }
            for row in rows
        ],
        columns=MANIFEST_COLUMNS,
    )
    warnings.extend(_mixture_warnings(manifest))
    warnings.extend(_copy_warnings(manifest))
    findings = pair_findings(manifest, facts, labels_found)
    faults.extend(sentences(findings, "fault"))
    warnings.extend(sentences(findings, "warning"))
    return Audit(faults, warnings, manifest, findings, facts)


def fault_error(faults: list[str], page: str | Path) -> UserError:
    """The error that refuses a data set: the first faults, the count of all and where they are."""
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"The data set has {count}:", *(f"  {fault}" for fault in faults[:PRINTED_FAULTS])]
    if len(faults) > PRINTED_FAULTS:
        lines.append(f"  and {len(faults) - PRINTED_FAULTS} more; all of them are in {page}.")
    return UserError("\n".join(lines))


# --- files ----------------------------------------------------------------------------------


class _Look(NamedTuple):
    """What one pair looks like, and what is wrong with its files."""

    row: dict | None
    label: LabelFacts | None
    facts: PairFacts | None
    faults: list[str]
    unreadable: dict[str, list[str]]


def _read_all(
    pairs: list[Pair], foreground: str | int | list[str | int], processes: int, faults: list[str]
) -> tuple[list[dict], dict[str, LabelFacts], dict[str, PairFacts]]:
    """Manifest rows and facts of the pairs that can be read, and of each readable label."""
    rows: list[dict] = []
    labels: dict[str, LabelFacts] = {}
    pair_looks: dict[str, PairFacts] = {}
    unreadable: dict[str, list[str]] = {}
    work = sum(Path(pair.image).stat().st_size for pair in pairs if Path(pair.image).is_file())
    useful = min(processes, len(pairs), 1 + work // PROCESS_BYTES)
    looks = map_in_order(partial(_look_at, foreground=foreground), pairs, useful)
    for pair, look in zip(pairs, looks, strict=True):
        faults.extend(look.faults)
        for fault, paths in look.unreadable.items():
            unreadable.setdefault(fault, []).extend(paths)
        if look.label is not None:
            labels[str(pair.label)] = look.label
        if look.row is not None and look.facts is not None:
            rows.append(look.row)
            pair_looks[pair.id] = look.facts
    for fault, paths in unreadable.items():
        faults.append(f"{name_labels(paths, 'file')}: {fault}" if paths else fault)
    return rows, labels, pair_looks


def _look_at(pair: Pair, foreground: str | int | list[str | int]) -> _Look:
    """Read one pair."""
    faults: list[str] = []
    unreadable: dict[str, list[str]] = {}
    image = _read(read_pixels, pair.image, pair.id, unreadable)
    label = _read(read_label_files, pair.label, pair.id, unreadable)
    look = None if label is None else label_facts(label, image)
    if image is None or label is None or look is None:
        return _Look(None, look, None, faults, unreadable)
    if image.shape[:2] != label.shape[:2]:
        faults.append(
            f"{describe_files(pair.label)}: {_size(label)} pixels (height x width), but "
            f"{pair.image} has {_size(image)}; expected equal sizes; export the "
            "label at the size of the image."
        )
    facts = pair_facts(image, likely_mask(label, look, foreground))
    return _Look(_row(pair, image, look), look, facts, faults, unreadable)


def _read(
    reader: Callable[..., np.ndarray],
    path: str | Path,
    name: str,
    unreadable: dict[str, list[str]],
) -> np.ndarray | None:
    """Pixels of an image or label whose mask will have a name, or None.

    Equal faults of several files are collected under one sentence.
    """
    try:
        for file in split_files(path):
            check_name(file, name)
        return reader(path)
    except UserError as error:
        fault, start = str(error), f"{path}: "
        named = unreadable.setdefault(fault.removeprefix(start), [])
        if fault.startswith(start):
            named.append(str(path))
        return None


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _row(pair: Pair, image: np.ndarray, label: LabelFacts) -> dict:
    return {
        "id": pair.id,
        "image": str(pair.image),
        "label": str(pair.label),
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": 1 if image.ndim == 2 else image.shape[2],
        "dtype": image.dtype.name,
        "label_maximum": int(label.histogram.values[-1]),
        "sha256_image": sha256(pair.image),
        "sha256_label": sum_of_files(pair.label),
        "role": pair.role,
    }


# --- warnings -------------------------------------------------------------------------------


def _mixture_warnings(manifest: pd.DataFrame) -> Iterator[str]:
    """Images that differ in channels or pixel type: they are converted, not refused."""
    channels = manifest["channels"].map({1: "grey", 3: "RGB"}).value_counts()
    if len(channels) > 1:
        yield (
            f"{channels['grey']} grey and {channels['RGB']} RGB images; the grey ones are repeated "
            "in three channels."
        )
    dtypes = manifest["dtype"].value_counts()
    if len(dtypes) > 1:
        yield (
            f"{dtypes['uint8']} images of 8 and {dtypes['uint16']} of 16 bits a channel; the "
            "former are multiplied by 257."
        )


def _copy_warnings(manifest: pd.DataFrame) -> Iterator[str]:
    """Images that are the same file byte for byte."""
    for _, copies in manifest.groupby("sha256_image", sort=False)["image"]:
        if len(copies) > 1:
            named = ", ".join(copies[:NAMED_COPIES])
            more = f" and {len(copies) - NAMED_COPIES} more" if len(copies) > NAMED_COPIES else ""
            yield (
                f"{named}{more} are copies of one image; a copy among the training images makes "
                "the score of a test image worthless; remove all but one."
            )


# --- files of the audit ---------------------------------------------------------------------


def write_audit(audit: Audit, json_path: str, html_path: str, manifest_path: str) -> None:
    """Write the audit for programs (JSON), for people (HTML) and as a table (CSV)."""
    write_csv(manifest_path, audit.manifest)
    write_json(json_path, {**_summary(audit), "manifest": sha256(manifest_path)})
    write_page(audit, html_path)


def write_page(audit: Audit, html_path: str | Path) -> None:
    """Write the audit as a page without external resources."""
    page = audit_page(_summary(audit), audit.manifest, audit.findings, audit.facts)
    write_text(html_path, page)


def _summary(audit: Audit) -> dict:
    """The content of audit.json."""
    manifest = audit.manifest
    foreground_share = manifest["foreground"].astype(float)
    return {
        "images": len(manifest),
        "faults": audit.faults,
        "warnings": audit.warnings,
        "height": _range(manifest["height"]),
        "width": _range(manifest["width"]),
        "dtypes": _counts(manifest["dtype"]),
        "channels": _counts(manifest["channels"]),
        "label_foreground": manifest["label_foreground"].iloc[0] if len(manifest) else None,
        "foreground": {
            "minimum": foreground_share.min(),
            "mean": foreground_share.mean(),
            "maximum": foreground_share.max(),
        },
    }


def _range(column: pd.Series) -> dict[str, float]:
    column = column.astype(float)
    return {"minimum": column.min(), "median": column.median(), "maximum": column.max()}


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in column.value_counts().sort_index().items()}
