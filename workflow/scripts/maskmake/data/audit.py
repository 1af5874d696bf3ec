"""What is wrong with a data set: every fault of every file, found in one pass."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from maskmake.data.audit_page import LISTED, Picture, audit_page, choose_pairs
from maskmake.data.file_versions import read_record, scan, write_record
from maskmake.data.findings import Finding, Level, pair_findings, sentences
from maskmake.data.folded import Sentence, counted, files_of
from maskmake.data.image_findings import (
    channel_faults,
    image_warnings,
    range_faults,
    scale_warnings,
)
from maskmake.data.image_samples import store_type
from maskmake.data.label_facts import LabelFacts
from maskmake.data.label_ignored import Ignore
from maskmake.data.label_meaning import LabelSettings, settle
from maskmake.data.label_names import split_files
from maskmake.data.pair_facts import PairFacts
from maskmake.data.pair_reading import (
    Reading,
    ReadPairs,
    SeenPair,
    read_pairs,
    read_pictures,
)
from maskmake.data.pair_table import list_dataset_files
from maskmake.data.pairing import Pair, find_pairs, group_of
from maskmake.data.training_needs import image_faults
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256, write_csv, write_json, write_text
from maskmake.runtime.log import logger

MANIFEST_COLUMNS = [
    "id", "image", "label", "height", "width", "channels", "dtype", "label_maximum",
    "label_foreground", "label_ignored", "sha256_image", "sha256_label", "foreground", "ignored",
    "group", "role", "page", "minimum", "maximum",
]  # fmt: skip

# One image each to train on, to learn the threshold on and to score.
MIN_IMAGES = 3

PRINTED_FAULTS = 20
NAMED_COPIES = 5


@dataclass(frozen=True)
class Audit:
    """Outcome of an audit.

    Attributes:
        faults: one sentence each; training must not start while there are any.
        warnings: one sentence each; worth knowing, no obstacle.
        manifest: one row for each pair that could be read, in natural order of the ids.
        findings: those of single pairs; their faults and warnings are also among the above.
        facts: what each pair of the manifest looks like, by its id.
        pictures: of the pairs that the page shows.
    """

    faults: list[str]
    warnings: list[str]
    manifest: pd.DataFrame
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, PairFacts] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)


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
    if any(map(files_of, audit.faults + audit.warnings)):
        logger.info("Where only the first of several files is named, %s lists all.", html_path)
    if audit.faults:
        write_page(audit, html_path)
        raise fault_error(audit, html_path)
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
    logger.info("%s: %s", _verdict(audit), html_path)


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
    ignore: Ignore = None,
    table: str | None = None,
    channels: list[int] | None = None,
    value_range: int | None = None,
    image_normalization: bool = False,
    processes: int = 1,
    trainings: Sequence[Mapping] = (),
) -> Audit:
    """Look at every file of a data set and collect all its faults.

    Args:
        images, labels: folders or patterns, see ``pairing.find_pairs``.
        threshold, tolerance, empty_labels, foreground, ignore: see ``LabelSettings``.
        groups: regular expression with one group, searched in each id; None makes each image a
            group of its own.
        table: path of a table of pairs, instead of the folders.
        channels: which channels of the images are used, counted from 1; None: all.
        value_range, image_normalization: see ``image_findings.range_faults``.
        processes: at most so many read files at the same time; the result is the same.
        trainings: the settings of ``train`` of each run, which the images have to fit.
    """
    faults: list[str] = []
    warnings: list[str] = []
    pairs = find_pairs(images, labels, table, faults, warnings)
    if not pairs:
        return Audit(faults, warnings, pd.DataFrame(columns=MANIFEST_COLUMNS))
    logger.info("Reading %s.", counted(len(pairs), "labelled image"))
    reading = Reading(channels, ignore, foreground)
    read = read_pairs(pairs, reading, processes, faults)
    found, labels_found, facts = read.table, read.labels, read.facts
    names = {pair.id: group_of(pair, groups, faults) for pair in pairs}
    meaning, shares = "", {}
    if labels_found:
        labels_right = {
            path: look for path, look in labels_found.items() if path not in read.exchanged
        }
        settled = settle(
            labels_right or labels_found,
            LabelSettings(foreground, threshold, tolerance, empty_labels, ignore),
        )
        faults.extend(settled.faults if labels_right else [])
        warnings.extend(settled.warnings)
        meaning = settled.meaning
        shares = {path: facts.share(meaning) for path, facts in labels_found.items()}
    looks = {
        id: labels_found[name] for id, name in zip(found["id"], found["label_name"], strict=True)
    }
    manifest = found.assign(
        group=[_group(*ids, names) for ids in zip(found["id"], found["pair"], strict=True)],
        label_foreground=meaning,
        foreground=[shares[name] for name in found["label_name"]],
    )
    faults.extend(_count_faults(table or images, manifest, pairs))
    faults.extend(range_faults(manifest, value_range, image_normalization))
    faults.extend(channel_faults(manifest))
    faults.extend(_training_faults(manifest, trainings))
    warnings.extend(scale_warnings(manifest, image_normalization))
    warnings.extend(image_warnings(manifest, selected=channels is not None))
    manifest = manifest[MANIFEST_COLUMNS]
    warnings.extend(_copy_warnings(manifest))
    findings = pair_findings(manifest, facts, looks, read.fits)
    faults.extend(sentences(findings, "fault"))
    warnings.extend(sentences(findings, "warning"))
    audit = Audit(faults, warnings, manifest, findings, facts)
    return replace(audit, pictures=_pictures(audit, read, looks, reading, processes))


def fault_error(audit: Audit, page: str | Path) -> UserError:
    """The error that refuses a data set: the verdict and its page, then the first faults.

    The faults are at the end, because the last line is read first.
    """
    shown = "it" if len(audit.faults) == 1 else "all of them"
    if len(audit.faults) > LISTED:
        shown = f"the first {LISTED} of them"
    if len(audit.faults) > PRINTED_FAULTS:
        shown += f", and these are the first {PRINTED_FAULTS}"
    head = f"{_verdict(audit)}; {page} shows {shown}:"
    return UserError("\n  ".join([head, *audit.faults[:PRINTED_FAULTS]]))


# --- files ----------------------------------------------------------------------------------


def _group(id: str, pair: str, names: dict[str, str]) -> str:
    """That of the pair, or the image itself: pages of a stack are no group."""
    return id if names[pair] == pair else names[pair]


def _count_faults(place: str, manifest: pd.DataFrame, pairs: list[Pair]) -> Iterator[str]:
    """Too few images, where the pages of stacks count, or two of one name."""
    if len(pairs) < MIN_IMAGES and 0 < len(manifest) < MIN_IMAGES:
        yield (
            f"{place}: {counted(len(manifest), 'image')} with labels; expected at least "
            f"{MIN_IMAGES}: to train on, to learn the threshold on and to score."
        )
    double = manifest[manifest["id"].duplicated(keep=False)]
    for name, rows in double.groupby("id")["image"]:
        yield (
            f"{rows.iloc[0]}: a page of it would have the name {name}, as {rows.iloc[1]}; "
            "expected different names; rename one of the files, and its label."
        )


def _training_faults(manifest: pd.DataFrame, trainings: Sequence[Mapping]) -> Iterator[str]:
    if len(manifest):
        dtype, channels = store_type(manifest["dtype"]).name, int(manifest["channels"].max())
        yield from dict.fromkeys(
            fault for train in trainings for fault in image_faults(dtype, channels, train)
        )


# --- warnings -------------------------------------------------------------------------------


def _copy_warnings(manifest: pd.DataFrame) -> Iterator[str]:
    """Images that are the same file byte for byte."""
    files = manifest.drop_duplicates("image")  # of a stack, each page has a row
    for _, copies in files.groupby("sha256_image", sort=False)["image"]:
        if len(copies) > 1:
            named = ", ".join(copies[:NAMED_COPIES])
            more = f" and {len(copies) - NAMED_COPIES} more" if len(copies) > NAMED_COPIES else ""
            yield Sentence(
                f"{named}{more} are copies of one image; a copy among the training images makes "
                "the score of a test image worthless; remove all but one.",
                copies,
            )


# --- pictures ---------------------------------------------------------------------------------


def _pictures(
    audit: Audit, read: ReadPairs, looks: dict[str, LabelFacts], reading: Reading, processes: int
) -> list[Picture]:
    """Those of the page; the files of a pair that was not drawn at first are read again."""
    texts: dict[Level, list[str]] = {
        "fault": audit.faults,
        "warning": audit.warnings,
        "note": sentences(audit.findings, "note"),
    }
    levels = choose_pairs(texts, audit.manifest, audit.findings, read.pictures)
    missing = read.table[read.table["id"].isin(levels.keys() - read.pictures.keys())]
    seen = [
        SeenPair(row, looks[row["id"]], audit.facts[row["id"]])
        for row in missing.to_dict("records")
    ]
    drawn = read.pictures | read_pictures(seen, reading, processes)
    return [Picture(id, level, drawn[id]) for id, level in levels.items()]


# --- files of the audit ---------------------------------------------------------------------


def write_audit(audit: Audit, json_path: str, html_path: str, manifest_path: str) -> None:
    """Write the audit for programs (JSON), for people (HTML) and as a table (CSV)."""
    write_csv(manifest_path, audit.manifest)
    write_json(json_path, {**_summary(audit), "manifest": sha256(manifest_path)})
    write_page(audit, html_path)


def write_page(audit: Audit, html_path: str | Path) -> None:
    """Write the audit as a page without external resources."""
    page = audit_page(_summary(audit), audit.manifest, audit.findings, audit.facts, audit.pictures)
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
