"""Images to segment, and what is made of them as the rule makes it."""

import imagecodecs
import numpy as np

from maskmake.network.settings import PredictSettings
from maskmake.predict.segmentation import segment_images
from maskmake.snakefile.locations import names_of_pages

SETTINGS = PredictSettings(tile=32, overlap=0.5, tta=True)
DECISION = {"threshold": 0.5, "min_object": 0, "min_hole": 0}


def segmented(run, paths, out, taken=None):
    """As the rule makes them; ``taken`` are ids by path, where one may be that of a page."""
    folds, files = sorted(run.glob("fold*")), list(map(str, paths))
    found = [*names_of_pages(taken or {}).values()]
    options = {"names": taken or {}, "taken": dict(pair for one in found for pair in one.items())}
    return segment_images(files, folds, run / "decision.json", SETTINGS, out, **options)


def segment(run, paths, out):
    """The table of images of which each can be used."""
    done = segmented(run, paths, out)
    assert not done.refused
    return done.table


def refused(run, path, out):
    """The sentence of the only image, which cannot be used."""
    done = segmented(run, [path], out)
    assert done.table.empty
    (sentence,) = done.refused
    return sentence


def save(path, pixels):
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def noise(*shape, dtype=np.uint8, seed=0):
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, shape, dtype)
