"""A run of two folds and its package, and what is made of them."""

import heapq

import numpy as np
import pytest
from saved_runs import write_fold
from scipy import ndimage

pytest.importorskip("onnxruntime", reason="locked, but not installed; run make setup")
pytest.importorskip("tf2onnx", reason="locked, but not installed; run make setup")

import onnx
from onnx import helper, numpy_helper

from maskmake.export.onnx_file import write_onnx
from maskmake.export.package import ExportInputs
from maskmake.masks.run_folds import list_folds
from maskmake.network.settings import PredictSettings
from maskmake.predict.segmentation import segment_images
from maskmake.runtime.files import write_json

SETTINGS = {
    "name": None,
    "description": None,
    "authors": [{"name": "Ada Lovelace", "affiliation": "Analytical & Co"}],
    "cite": [{"text": "A book."}, {"text": "A paper.", "doi": "10.1371/journal.pbio.1000502"}],
    "license": "CC-BY-4.0",
    "sample": None,
}
TILING = {"tile": 32, "overlap": 0.5, "tta": True}
DECISION = {"threshold": 0.5, "min_object": 6, "min_hole": 9}
SCALE, MIDDLE, BIASES = 1 / 40, 130.0, (-0.5, 0.1)


def write_run(run):
    """Write the folder of a run of two folds."""
    for fold, bias in enumerate(BIASES):
        write_fold(run / f"fold{fold}", scale=[SCALE], offset=[-MIDDLE * SCALE], bias=bias)
    folds = sorted(run.glob("fold*"))
    write_json(run / "decision.json", DECISION)
    files = ([str(fold / name) for fold in folds] for name in ("model.keras", "training.json"))
    write_json(run / "run.json", list_folds(*files))
    write_json(run / "metrics.json", {"images": 1, "mean_dice": 0.9, "mean_dice_low": 0.8})


def inputs_of(run, dataset):
    folds = sorted(run.glob("fold*"))
    return ExportInputs(
        run / "run.json",
        run / "decision.json",
        [fold / "model.keras" for fold in folds],
        [fold / "training.json" for fold in folds],
        run / "metrics.json",
        *(dataset.inputs[name] for name in ("plan", "images", "index", "splits")),
    )


def decide(probability, threshold, min_object, min_hole, upper=None, min_seed=0, objects=None):
    """What ``decision.json`` says, from NumPy and the labelling of SciPy alone."""

    def pieces(mask, smallest, corners=False):
        labels, _ = ndimage.label(mask, np.ones((3, 3)) if corners else None)
        return np.where(np.bincount(labels.ravel())[labels] < smallest, 0, labels)

    turned = objects == "background"  # what follows knows objects, whichever class they are
    seen = 1 - probability if turned else probability
    threshold = 1 - threshold if turned else threshold
    mask = pieces(seen > threshold, min_object) > 0
    if mask.any():
        mask = ~(pieces(~mask, min_hole, corners=True) > 0)
    if upper is not None:
        owner = pieces(mask & (seen > (1 - upper if turned else upper)), min_seed)
        queue = [(-seen[pixel], pixel) for pixel in zip(*owner.nonzero(), strict=True)]
        heapq.heapify(queue)
        while queue:  # seeds grow, the surest pixel first
            _, (row, column) = heapq.heappop(queue)
            for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                other = row + down, column + right
                inside = 0 <= other[0] < mask.shape[0] and 0 <= other[1] < mask.shape[1]
                if inside and mask[other] and not owner[other]:
                    owner[other] = owner[row, column]
                    heapq.heappush(queue, (-seen[other], other))
        for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            meet = (owner[a] != owner[b]) & (owner[a] > 0) & (owner[b] > 0)
            mask[a] &= ~(meet & (seen[a] < seen[b]))  # of two that meet, the fainter is a line
            mask[b] &= ~(meet & ~(seen[a] < seen[b]))
    return ~mask if turned else mask


def segment(folder, image, out):
    folds, settings = sorted(folder.glob("fold*")), PredictSettings(**TILING)
    decision, run = folder / "decision.json", folder / "run.json"
    return segment_images([str(image)], folds, decision, settings, out, run)


def changed(networks, path, operator, value):
    """A graph whose converter was wrong: one more node at its end."""
    write_onnx(networks, path)
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "before"
    model.graph.initializer.append(numpy_helper.from_array(value, "value"))
    model.graph.node.append(helper.make_node(operator, ["before", "value"], ["logits"]))
    onnx.save(model, path)
