"""What several test files share: the processor as device, and one small data set."""

import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maskmake.data.fingerprint import fingerprint
from maskmake.data.pixel_store import build_store, offsets_of, open_images, open_labels
from maskmake.data.splits import split_images
from maskmake.data.synthesis import write_dataset
from maskmake.network.device import select_device
from maskmake.runtime.files import read_csv, sha256, write_csv, write_json

# Before any test imports Keras. Bit-equal trainings are promised for the processor alone.
select_device("tensorflow", 0, os.devnull)

COUNT, SIZE = 6, 96


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """The data folder of six synthetic images of 96 x 96 pixels: four train, one each the rest.

    Attributes: ``inputs`` (path by name, as ``train_fold`` takes them), ``index``, ``splits``,
    ``plan``, and the pixel stores ``images`` and ``labels``.
    """
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "image", folder / "label", COUNT, SIZE, seed=5)
    ids = [f"{number:02d}" for number in range(COUNT)]
    manifest = pd.DataFrame({"id": ids, "group": ids, "role": "", "height": SIZE, "width": SIZE})
    manifest = manifest.assign(
        channels=1,
        dtype="uint8",
        label_maximum=255,
        label_foreground="255",
        label_ignored="none",
        foreground=0.5,
        ignored=0.0,
    )
    for kind in ("image", "label"):
        manifest[kind] = [str(folder / kind / f"{image_id}.png") for image_id in ids]
        manifest[f"sha256_{kind}"] = [sha256(path) for path in manifest[kind]]
    names = {"images": "npy", "labels": "npy", "index": "csv", "splits": "csv", "plan": "json"}
    inputs = {name: folder / f"{name}.{suffix}" for name, suffix in names.items()}

    build_store(manifest, inputs["images"], inputs["labels"], inputs["index"])
    splits = split_images(manifest, "block", test=0.15, validation=0.15, folds=1, seed=1)
    write_csv(inputs["splits"], splits)
    index, splits = read_csv(inputs["index"]), read_csv(inputs["splits"])
    images, labels = open_images(inputs["images"], index), open_labels(inputs["labels"], index)
    plan = fingerprint(index, splits, images, labels)
    write_json(inputs["plan"], plan)
    return SimpleNamespace(
        inputs=inputs, index=index, splits=splits, plan=plan, images=images, labels=labels
    )


@pytest.fixture(scope="session")
def make_stores(tmp_path_factory):
    """A function from images and labels by id, of any shapes, to index, images and labels."""

    def make(images, labels):
        folder = tmp_path_factory.mktemp("store")
        shapes = [image.shape for image in images.values()]
        sizes = [shape[:2] for shape in shapes]
        index = pd.DataFrame(sizes, columns=["height", "width"]).assign(
            id=list(images),
            channels=shapes[0][2] if len(shapes[0]) == 3 else 1,
            image_offset=offsets_of(shapes),
            label_offset=offsets_of(sizes),
        )
        for name, arrays in (("images", images), ("labels", labels)):
            flat = np.concatenate([array.reshape(-1) for array in arrays.values()])
            np.save(folder / f"{name}.npy", flat)
        stored_images = open_images(folder / "images.npy", index)
        return index, stored_images, open_labels(folder / "labels.npy", index)

    return make


@pytest.fixture
def two_convolutions(monkeypatch):
    """What ``train_fold`` builds in place of a U-Net, which takes most of a minute to compile."""
    from trainer import small_network  # which imports Keras

    from maskmake.train import engine

    monkeypatch.setattr(engine, "build_network", small_network)
