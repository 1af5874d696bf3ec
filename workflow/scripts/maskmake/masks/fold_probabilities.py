"""The probabilities of all folds of a run, read back image by image."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from maskmake.data.pixel_store import PixelStore, open_probabilities
from maskmake.data.splits import fold_ids
from maskmake.data.tables import check_columns, check_ids
from maskmake.runtime.files import read_csv
from maskmake.runtime.progress import tracked
from maskmake.scores.cases import Case
from maskmake.scores.probabilities import SURE


class RunProbabilities:
    """Probabilities of one run.

    Args:
        paths: ``probabilities.npy`` of each fold, in order.
        sums: ``probabilities.csv`` of each fold.
        index: table of ``index.csv``.
        splits: table of ``splits.csv``.

    Raises:
        UserError: a file is damaged, or of other images.
    """

    def __init__(
        self,
        paths: Iterable[str],
        sums: Iterable[str],
        index: pd.DataFrame,
        splits: pd.DataFrame,
    ):
        self._fold_of: dict[str, PixelStore] = {}
        self._folds: list[PixelStore] = []
        for fold, (path, table) in enumerate(zip(paths, sums, strict=True)):
            ids = fold_ids(splits, fold)
            predicted = [*ids.validation, *ids.test]
            written = read_csv(table)
            check_columns(table, written, ["id", "sha256"], "predict")
            check_ids(table, written, predicted, "splits.csv", "predict")
            store = open_probabilities(path, index, predicted, written["sha256"])
            self._folds.append(store)
            self._fold_of |= dict.fromkeys(ids.validation, store)
        self.validation_ids = list(self._fold_of)
        self.test_ids = fold_ids(splits, 0).test

    def validation(self, image_id: str) -> np.ndarray:
        """(H, W) float16 from the one network that was not trained on this image."""
        return self._fold_of[image_id][image_id]

    def validation_cases(self, labels: PixelStore) -> Iterator[Case]:
        """Each validation image, one at a time in memory."""
        ids = tracked(self.validation_ids, "validation images", len(self.validation_ids))
        return (Case(i, labels[i], self.validation(i)) for i in ids)

    def test(self, image_id: str) -> np.ndarray:
        """(H, W) float16: the sigmoid of the mean logit of all folds."""
        if len(self._folds) == 1:
            return self._folds[0][image_id]
        logits = sum(
            logit(np.clip(fold[image_id].astype(np.float32), SURE, 1 - SURE))
            for fold in self._folds
        )
        return expit(logits / len(self._folds)).astype(np.float16)
