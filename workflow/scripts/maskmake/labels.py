"""What a label's pixel values mean."""

import numpy as np


def label_range(largest: int) -> int:
    """Top of the range of label values (1, 255 or 65535) that holds ``largest``."""
    return next(top for top in (1, 255, 65535) if largest <= top)


def foreground(label: np.ndarray, threshold: float, top: int) -> np.ndarray:
    """Label pixels above ``threshold`` (share of the range 0..``top``), as bool."""
    return label > threshold * top
