"""The masks of the test images of a run as files, and pictures of probabilities and regions."""

from pathlib import Path

import numpy as np
import pandas as pd

from maskmake.data.images import read_pixels
from maskmake.data.tables import check_columns, damaged
from maskmake.masks.decision import Decision, apply_decision
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.regions import region_picture
from maskmake.runtime.files import read_csv, sha256, write_png
from maskmake.runtime.progress import tracked


class MaskFolder:
    """The masks that ``write_masks`` wrote, each compared with its sum as it is read.

    Args:
        folder: of the masks.
        table: ``masks.csv``.

    Raises:
        UserError: the table is damaged.
    """

    def __init__(self, folder: str | Path, table: str | Path):
        self._folder, self._table = folder, table
        written = read_csv(table)
        check_columns(table, written, ["id", "sha256"], "masks")
        self._sums = dict(zip(written["id"], written["sha256"], strict=True))

    def __getitem__(self, image_id: str) -> np.ndarray:
        """Mask of a test image, (H, W) bool.

        Raises:
            UserError: the file is missing, or is not the one that was written.
        """
        path = Path(self._folder, f"{image_id}.png")
        mask = read_pixels(path) > 0
        if self._sums.get(image_id) != sha256(path):
            raise damaged(path, f"other bytes (SHA-256) than {self._table} says", "masks")
        return mask


def write_masks(
    run: RunProbabilities,
    decision: Decision,
    masks: str | Path,
    probabilities: str | Path,
    regions: str | Path,
) -> pd.DataFrame:
    """Write three files ``<id>.png`` for each test image, each to a folder of its kind.

    Args:
        run: its probabilities.
        decision: what makes the masks.
        masks: folder of the masks, 0 and 255.
        probabilities: folder of the probabilities, 0 to 255.
        regions: folder of the pictures of ``regions.region_picture``.

    Returns:
        Columns id and sha256 (of the file of the mask); a row for each image.
    """
    rows = []
    for image_id in tracked(run.test_ids, "masks", len(run.test_ids)):
        probability = run.test(image_id)
        mask = apply_decision(probability, decision)
        path = Path(masks, f"{image_id}.png")
        write_png(path, mask)
        rows.append({"id": image_id, "sha256": sha256(path)})
        grey = (probability * 255.0).round().astype("uint8")
        write_png(Path(probabilities, f"{image_id}.png"), grey)
        write_png(Path(regions, f"{image_id}.png"), region_picture(mask, decision.objects))
    return pd.DataFrame(rows, columns=["id", "sha256"])
