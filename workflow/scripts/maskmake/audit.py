"""What is wrong with a data set: every fault of every file, found in one pass."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from maskmake.files import read_label, read_pixels, sha256, write_csv, write_json, write_text
from maskmake.labels import foreground, label_range
from maskmake.log import UserError, logger
from maskmake.sources import IMAGE_SUFFIXES, ROLES, list_dataset, natural_key

MANIFEST_COLUMNS = [
    "id", "image", "label", "height", "width", "channels", "dtype", "label_maximum",
    "sha256_image", "sha256_label", "foreground", "group", "role",
]  # fmt: skip

# One image each to train on, to learn the threshold on and to score.
FEWEST_PAIRS = 3

# The middle half of the label range is neither background nor foreground.
MIDDLE = (0.25, 0.75)

PRINTED_FAULTS = 20
TABLE_ROWS = 500
NAMED_COPIES = 5


@dataclass(frozen=True)
class Audit:
    """Outcome of an audit.

    Attributes:
        faults: one sentence each; training must not start while there are any.
        warnings: one sentence each; worth knowing, no obstacle.
        manifest: one row for each pair that could be read, in natural order of the ids.
    """

    faults: list[str]
    warnings: list[str]
    manifest: pd.DataFrame


@dataclass(frozen=True)
class _Pair:
    id: str
    role: str
    image: Path
    label: Path


@dataclass(frozen=True)
class _Histogram:
    """The values of a label, ascending, and how many pixels have each."""

    values: np.ndarray
    counts: np.ndarray


def audit_dataset(
    images: str,
    labels: str,
    threshold: float,
    tolerance: float,
    empty_labels: str,
    groups: str | None,
) -> Audit:
    """Look at every file of a data set and collect all its faults.

    The files lie directly in the two folders or in their sub-folders train, validation and
    test; image and label have the same sub-folder and the same file stem, which is the id.

    Args:
        images: folder of images.
        labels: folder of labels.
        threshold: share of the label range above which a pixel is foreground.
        tolerance: largest share of a label's pixels in the middle half of the range.
        empty_labels: "accept" or "refuse" labels that are all background or all foreground.
        groups: regular expression with one group, searched in each id; None makes each image a
            group of its own.
    """
    faults: list[str] = []
    warnings: list[str] = []
    image_files = _list_folder(Path(images), "images", faults, warnings)
    label_files = _list_folder(Path(labels), "labels", faults, warnings)
    if not image_files or not label_files:
        return Audit(faults, warnings, pd.DataFrame(columns=MANIFEST_COLUMNS))
    pairs = _pair(image_files, label_files, Path(images), Path(labels), faults)
    logger.info("Reading %d images and their labels.", len(pairs))
    rows, histograms = _read_all(pairs, faults)
    names = {pair.id: _group_of(pair, groups, faults) for pair in pairs}
    shares: dict[str, float] = {}
    if histograms:
        top = label_range(max(int(h.values[-1]) for h in histograms.values()))
        shares = {path: _foreground_share(h, threshold, top) for path, h in histograms.items()}
        for path, histogram in histograms.items():
            faults.extend(_middle_fault(path, histogram, threshold, tolerance, top))
        if empty_labels == "accept" and len(set(shares.values())) > 1:
            warnings.extend(_one_sided_warning(shares))
        else:
            faults.extend(_one_sided_faults(histograms, shares, threshold, top))
    manifest = pd.DataFrame(
        [{**row, "group": names[row["id"]], "foreground": shares[row["label"]]} for row in rows],
        columns=MANIFEST_COLUMNS,
    )
    warnings.extend(_mixture_warnings(manifest))
    warnings.extend(_copy_warnings(manifest))
    return Audit(faults, warnings, manifest)


def fault_error(faults: list[str], page: str | Path) -> UserError:
    """The error that refuses a data set: the first faults, the count of all and where they are."""
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"The data set has {count}:", *(f"  {fault}" for fault in faults[:PRINTED_FAULTS])]
    if len(faults) > PRINTED_FAULTS:
        lines.append(f"  and {len(faults) - PRINTED_FAULTS} more; all of them are in {page}.")
    return UserError("\n".join(lines))


# --- folders and pairs ----------------------------------------------------------------------


def _list_folder(
    folder: Path, key: str, faults: list[str], warnings: list[str]
) -> dict[tuple[str, str], Path]:
    """Files of a folder and of its role sub-folders, by role and stem."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        faults.append(
            f"{folder}: {found}; expected the folder of {key}; mend dataset.{key}, which is "
            f"relative to {Path.cwd()}."
        )
        return {}
    files: dict[tuple[str, str], Path] = {}
    for path in list_dataset(folder):
        role = "" if path.parent == folder else path.parent.name
        earlier = files.setdefault((role, path.stem), path)
        if earlier != path:
            faults.append(
                f"{path}: has the stem of {earlier.name}; expected one file for '{path.stem}'; "
                "remove one of them."
            )
    left_out = _left_out(folder)
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    if not files:
        faults.append(
            f"{folder}: no image files (found {left_out or 'nothing'}); expected files of the "
            f"types {suffixes}, here or in sub-folders named {', '.join(ROLES)}."
        )
    elif left_out:
        warnings.append(f"{folder}: {left_out} left out; only {suffixes} files are read.")
    return files


def _left_out(folder: Path) -> str:
    """What a folder holds besides image files and role sub-folders, in words."""
    role_folders = [folder / role for role in ROLES]
    places = [folder, *filter(Path.is_dir, role_folders)]
    entries = [p for place in places for p in place.iterdir() if not p.name.startswith(".")]
    folders = sorted(p for p in entries if p.is_dir() and p not in role_folders)
    suffixes = Counter(p.suffix.lower() for p in entries if p.is_file())
    return ", ".join(
        [f"sub-folder {path.name}" for path in folders]
        + [
            f"{count} {suffix or 'suffixless'} file{'s' if count > 1 else ''}"
            for suffix, count in sorted(suffixes.items())
            if suffix not in IMAGE_SUFFIXES
        ]
    )


def _pair(
    images: dict[tuple[str, str], Path],
    labels: dict[tuple[str, str], Path],
    image_folder: Path,
    label_folder: Path,
    faults: list[str],
) -> list[_Pair]:
    """Images with their labels, in natural order of the ids, each id once."""
    common = images.keys() & labels.keys()
    if not common:
        faults.append(
            f"{label_folder}: no label has the sub-folder and stem of an image (images such as "
            f"{next(iter(images.values()))}, labels such as {next(iter(labels.values()))}); "
            "rename the labels after the images."
        )
        return []
    faults.extend(_unpaired(images, common, "image", "label", label_folder))
    faults.extend(_unpaired(labels, common, "label", "image", image_folder))
    if len(common) < FEWEST_PAIRS:
        faults.append(
            f"{image_folder}: {len(common)} images with labels; expected at least "
            f"{FEWEST_PAIRS}: to train on, to learn the threshold on and to score."
        )
    pairs: dict[str, _Pair] = {}
    for role, stem in sorted(common, key=lambda key: (natural_key(key[1]), key[0])):
        pair = _Pair(stem, role, images[role, stem], labels[role, stem])
        earlier = pairs.setdefault(stem, pair)
        if earlier is not pair:
            faults.append(
                f"{pair.image}: has the stem of {earlier.image}; expected stems that are unique "
                "over all sub-folders, since results are named after them; rename one, and its "
                "label."
            )
    return list(pairs.values())


def _unpaired(
    files: dict[tuple[str, str], Path],
    common: Iterable[tuple[str, str]],
    kind: str,
    other: str,
    other_folder: Path,
) -> Iterator[str]:
    for role, stem in sorted(files.keys() - common, key=lambda key: natural_key(key[1])):
        yield (
            f"{files[role, stem]}: {kind} without {other}; expected {other_folder / role / stem} "
            f"with the suffix of an image file; add the {other} or remove the {kind}."
        )


def _group_of(pair: _Pair, groups: str | None, faults: list[str]) -> str:
    if groups is None:
        return pair.id
    match = re.search(groups, pair.id)
    if match is None or match[1] is None:
        faults.append(
            f"{pair.image}: dataset.groups '{groups}' finds no group in '{pair.id}'; rename the "
            "file and its label, or mend the regular expression."
        )
        return pair.id
    return match[1]


# --- files ----------------------------------------------------------------------------------


def _read_all(pairs: list[_Pair], faults: list[str]) -> tuple[list[dict], dict[str, _Histogram]]:
    """Manifest rows of the pairs that can be read, and the histogram of each readable label."""
    rows: list[dict] = []
    histograms: dict[str, _Histogram] = {}
    for pair in pairs:
        image = _read(read_pixels, pair.image, faults)
        label = _read(read_label, pair.label, faults)
        if label is not None:
            histograms[str(pair.label)] = _histogram(label)
        if image is None or label is None:
            continue
        if image.shape[:2] != label.shape:
            faults.append(
                f"{pair.label}: {_size(label)} pixels (height x width), but {pair.image} has "
                f"{_size(image)}; expected equal sizes; export the label at the size of the image."
            )
        rows.append(_row(pair, image, histograms[str(pair.label)]))
    return rows, histograms


def _read(reader: Callable[[Path], np.ndarray], path: Path, faults: list[str]) -> np.ndarray | None:
    try:
        return reader(path)
    except UserError as error:
        faults.append(str(error))
        return None


def _size(pixels: np.ndarray) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _row(pair: _Pair, image: np.ndarray, histogram: _Histogram) -> dict:
    return {
        "id": pair.id,
        "image": str(pair.image),
        "label": str(pair.label),
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": 1 if image.ndim == 2 else image.shape[2],
        "dtype": image.dtype.name,
        "label_maximum": int(histogram.values[-1]),
        "sha256_image": sha256(pair.image),
        "sha256_label": sha256(pair.label),
        "role": pair.role,
    }


def _histogram(label: np.ndarray) -> _Histogram:
    counts = np.bincount(label.reshape(-1))
    values = np.flatnonzero(counts)
    return _Histogram(values, counts[values])


# --- labels ---------------------------------------------------------------------------------


def _foreground_share(histogram: _Histogram, threshold: float, top: int) -> float:
    is_foreground = foreground(histogram.values, threshold, top)
    return float(histogram.counts[is_foreground].sum() / histogram.counts.sum())


def _middle_fault(
    path: str, histogram: _Histogram, threshold: float, tolerance: float, top: int
) -> Iterator[str]:
    """The fault of a label with too many pixels between background and foreground."""
    low, high = MIDDLE[0] * top, MIDDLE[1] * top
    is_middle = (histogram.values >= low) & (histogram.values <= high)
    share = histogram.counts[is_middle].sum() / histogram.counts.sum()
    if share > tolerance:
        commonest = histogram.values[is_middle][histogram.counts[is_middle].argmax()]
        yield (
            f"{path}: {100 * share:.4g} % of the pixels are neither background nor foreground "
            f"(most often the value {commonest}); expected at most {100 * tolerance:.4g} % between "
            f"{low:g} and {high:g}, the middle of the range 0-{top}; give each pixel 0 or {top}, "
            f"or set dataset.label_tolerance to 1 to cut at dataset.label_threshold {threshold:g}."
        )


def _one_sided_faults(
    histograms: dict[str, _Histogram], shares: dict[str, float], threshold: float, top: int
) -> Iterator[str]:
    """One sentence on each label that is all background or all foreground."""
    for path, share in shares.items():
        if share not in (0, 1):
            continue
        values = histograms[path].values
        side = "foreground" if share else "background"
        found = f"{path}: every pixel is {side} ({_values_in_words(values)})"
        if set(values) <= {0, top}:
            yield (
                f"{found}; expected background and foreground; remove the pair, or, where other "
                "labels have both, set dataset.empty_labels to accept."
            )
        else:
            yield (
                f"{found}, since the labels of the data set range from 0 to {top} and "
                f"dataset.label_threshold {threshold:g} makes values above {threshold * top:g} "
                f"foreground; expected 0 and {top}; convert the label (class and instance "
                "numbers, too), or mend the threshold."
            )


def _one_sided_warning(shares: dict[str, float]) -> Iterator[str]:
    one_sided = [path for path, share in shares.items() if share in (0, 1)]
    if one_sided:
        yield (
            f"{len(one_sided)} of {len(shares)} labels hold only background or only foreground, "
            f"such as {one_sided[0]}; dataset.empty_labels accepts them."
        )


def _values_in_words(values: np.ndarray) -> str:
    if len(values) == 1:
        return f"the value {values[0]}"
    if len(values) == 2:
        return f"the values {values[0]} and {values[1]}"
    return f"{len(values)} values from {values[0]} to {values[-1]}"


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
    write_json(json_path, _summary(audit))
    write_page(audit, html_path)


def write_page(audit: Audit, html_path: str | Path) -> None:
    """Write the audit as a page without external resources."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = templates.get_template("audit.html.j2").render(
        summary=_summary(audit),
        histogram=np.histogram(audit.manifest["foreground"], bins=20, range=(0, 1))[0].tolist(),
        rows=audit.manifest.head(TABLE_ROWS).to_dict("records"),
        longest_list=TABLE_ROWS,
    )
    write_text(html_path, page)


def _summary(audit: Audit) -> dict:
    """The content of audit.json."""
    manifest = audit.manifest
    foreground_share = manifest["foreground"].astype(float)
    return {
        "images": len(manifest),
        "faults": audit.faults,
        "warnings": audit.warnings,
        "height": _spread(manifest["height"]),
        "width": _spread(manifest["width"]),
        "dtypes": _counts(manifest["dtype"]),
        "channels": _counts(manifest["channels"]),
        "label_range": label_range(int(manifest["label_maximum"].max())) if len(manifest) else None,
        "foreground": {
            "minimum": foreground_share.min(),
            "mean": foreground_share.mean(),
            "maximum": foreground_share.max(),
        },
    }


def _spread(column: pd.Series) -> dict[str, float]:
    column = column.astype(float)
    return {"minimum": column.min(), "median": column.median(), "maximum": column.max()}


def _counts(column: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in column.value_counts().sort_index().items()}
