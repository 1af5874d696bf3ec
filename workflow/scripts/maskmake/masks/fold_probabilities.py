"""The probabilities of all networks of a run, read back image by image."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from maskmake.data.pixel_store import PixelStore, open_probabilities
from maskmake.data.splits import fold_ids, fold_of_network
from maskmake.data.tables import check_columns, check_ids
from maskmake.network.logit_range import SURE
from maskmake.runtime.files import read_csv
from maskmake.runtime.progress import tracked
from maskmake.scores.cases import Case


class RunProbabilities:
    """Probabilities of one run.

    Attributes:
        folds: the fold of each network; there is one for each fold and seed.

    Args:
        paths: ``probabilities.npy`` of each network, in order: each fold once for every seed.
        sums: ``probabilities.csv`` of each network.
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
        self._validated_by: dict[str, list[PixelStore]] = {}
        self._networks: list[PixelStore] = []
        self.folds: list[int] = []
        for number, (path, table) in enumerate(zip(paths, sums, strict=True)):
            self.folds.append(fold_of_network(splits, number))
            ids = fold_ids(splits, self.folds[number])
            predicted = [*ids.validation, *ids.test]
            written = read_csv(table)
            check_columns(table, written, ["id", "sha256"], "predict")
            check_ids(table, written, predicted, "splits.csv", "predict")
            store = open_probabilities(path, index, predicted, written["sha256"])
            self._networks.append(store)
            for i in ids.validation:
                self._validated_by.setdefault(i, []).append(store)
        self.validation_ids = list(self._validated_by)
        self.test_ids = fold_ids(splits, 0).test

    def validation(self, image_id: str) -> np.ndarray:
        """(H, W) float16: the mean of the networks that were not trained on this image.

        One for each seed; their mean is that of ``test``. Where that has a lowest value, this has
        it too: a threshold below it would make every test pixel foreground.
        """
        probability = _mean([store[image_id] for store in self._validated_by[image_id]])
        return np.maximum(probability, np.float16(SURE if len(self._networks) > 1 else 0))

    def validation_cases(self, labels: PixelStore) -> Iterator[Case]:
        """Each validation image, one at a time in memory."""
        ids = tracked(self.validation_ids, "validation images", len(self.validation_ids))
        return (Case(i, labels[i], self.validation(i)) for i in ids)

    def test(self, image_id: str) -> np.ndarray:
        """(H, W) float16: the sigmoid of the mean logit of all networks.

        Of several it is at least ``SURE``, because their logits are cut there, as those of new
        images are.
        """
        return _mean([store[image_id] for store in self._networks])

    def test_of_network(self, number: int, image_id: str) -> np.ndarray:
        """(H, W) float16 from one network by itself."""
        return self._networks[number][image_id]


def _mean(probabilities: list[np.ndarray]) -> np.ndarray:
    if len(probabilities) == 1:
        return probabilities[0]
    logits = [
        logit(np.clip(probability.astype(np.float32), SURE, 1 - SURE))
        for probability in probabilities
    ]
    return expit(sum(logits) / len(logits)).astype(np.float16)
