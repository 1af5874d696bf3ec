"""Data sets to be split, of scenes that are alike or not, and the split that follows from them."""

import numpy as np
import pandas as pd
from scipy import ndimage

from maskmake.data.auto_split import split_dataset
from maskmake.data.splits import fold_ids
from maskmake.data.thumbnails import thumbnail

SETTINGS = {
    "method": "auto",
    "test": 0.3,
    "validation": 0.15,
    "folds": 1,
    "near_copies": "refuse",
    "seed": 1,
}


def scenes(count, seed=0, size=64):
    """Images (size, size) that have nothing in common, of blobs."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.standard_normal((count, size, size)), (0, 3, 3))
    return list(128 + 400 * fields)


def film(count, seed=0, size=64, speed=1.0):
    """Images of a scene that changes, each like the next one."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((count + 40, size, size))
    fields = ndimage.gaussian_filter(fields, (1.5 / speed, 3, 3))
    return list(128 + 400 * fields[20 : 20 + count] / fields.std())


def numbered(count, form="{:02d}"):
    return [form.format(number) for number in range(count)]


def data(images, ids=None, foreground=None, **columns):
    """Arguments of ``split_dataset``: manifest, index, thumbnails."""
    ids = ids or numbered(len(images))
    manifest = pd.DataFrame({"id": ids, "group": ids, "role": ""})
    manifest["image"] = [f"images/{i}.png" for i in ids]
    # Shares of foreground that differ a little.
    shares = np.linspace(0.2, 0.3, len(ids)) if foreground is None else foreground
    manifest = manifest.assign(foreground=shares, **columns)
    sums = [f"{hash(np.asarray(image).tobytes()):x}" for image in images]
    sizes = np.array([np.shape(image)[:2] for image in images])
    index = pd.DataFrame({"id": ids, "height": sizes[:, 0], "width": sizes[:, 1]})
    index["sha256_image"] = sums
    return manifest, index, np.stack([thumbnail(np.asarray(image)) for image in images])


def split(*arguments, **settings):
    return split_dataset(*arguments, SETTINGS | settings)


def parts(found, fold=0):
    return tuple(map(set, fold_ids(found.table, fold)))


def part_of(found):
    """The part of each image: its role, or the fold in whose validation part it is."""
    return found.table["role"] + found.table["fold"].fillna(-1).astype(str)


CHANGES = {
    "brighter": lambda image: 1.2 * image + 10,
    "noisy": lambda image: image + np.random.default_rng(0).normal(0, 10, image.shape),
    "smaller": lambda image: image[::2, ::2],
    "flipped": lambda image: image[:, ::-1],
    "turned": lambda image: np.rot90(image),
}

ROLES = ["train"] * 8 + ["validation"] * 2 + ["test"] * 4
