"""Data sets of small files to be audited, and the audit of them."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from maskmake.data.audit import Audit, audit_dataset

SIDE = 32


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def grey(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def half(value: int = 255, background: int = 0, dtype=np.uint8) -> np.ndarray:
    """A label whose right half is foreground."""
    label = np.full((SIDE, SIDE), background, dtype)
    label[:, SIDE // 2 :] = value
    return label


def audit(**settings) -> Audit:
    return audit_dataset("images", "labels", **settings)


SETTINGS = {
    "images": "images",
    "labels": "labels",
    "foreground": "auto",
    "threshold": None,
    "tolerance": 0.1,
    "empty_labels": "accept",
    "groups": None,
    "ignore": None,
}
RESULTS = ("audit.json", "audit.html", "manifest.csv")
