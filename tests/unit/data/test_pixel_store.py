"""The pixel store gives back every image and label exactly, whatever mixture it was built from."""

import tracemalloc

import imagecodecs
import numpy as np
import pandas as pd
import pytest

from maskmake.data.images import read_pixels
from maskmake.data.label_files import read_label
from maskmake.data.pixel_store import build_store, open_images, open_labels, open_probabilities
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv, sha256, write_csv


def write_set(folder, images, labels, meaning="nonzero"):
    """Write images and labels as PNG; the manifest that describes them."""
    rows = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        paths = [folder / f"{kind}-{number}.png" for kind in ("image", "label")]
        for path, pixels in zip(paths, (image, label), strict=True):
            path.write_bytes(imagecodecs.png_encode(pixels))
        rows.append(
            {
                "id": f"{number:03d}",
                "image": str(paths[0]),
                "label": str(paths[1]),
                "height": image.shape[0],
                "width": image.shape[1],
                "channels": image.shape[2] if image.ndim == 3 else 1,
                "dtype": image.dtype.name,
                "label_maximum": int(label.max()),
                "label_foreground": meaning,
                "label_ignored": "none",
                "sha256_image": sha256(paths[0]),
                "sha256_label": sha256(paths[1]),
            }
        )
    return pd.DataFrame(rows)


def store_of(folder, manifest, **settings):
    """Build the store; the raw arrays, the index and the two readers."""
    paths = [folder / name for name in ("images.npy", "labels.npy", "index.csv")]
    build_store(manifest, *paths, **settings)
    index = read_csv(paths[2])
    raw = [np.load(path) for path in paths[:2]]
    return *raw, index, open_images(paths[0], index), open_labels(paths[1], index)


def noise(seed, shape, dtype=np.uint8):
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(seed).integers(0, top, shape, dtype=dtype)


def labels_for(images, top=255, dtype=np.uint8):
    planes = (image.shape[:2] for image in images)
    return [((noise(90 + i, plane) > 127) * top).astype(dtype) for i, plane in enumerate(planes)]


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "rgb"])
def test_equal_shapes_make_one_stacked_array(tmp_path, colours):
    images = [noise(seed, (24, 40, *colours)) for seed in range(3)]
    labels = labels_for(images)
    raw_images, raw_labels, *_ = store_of(tmp_path, write_set(tmp_path, images, labels))
    np.testing.assert_array_equal(raw_images, np.stack(images))
    np.testing.assert_array_equal(raw_labels, np.stack(labels) > 0)
    assert raw_images.flags["C_CONTIGUOUS"]
    assert raw_labels.dtype == np.uint8


@pytest.mark.parametrize("colours", [(), (3,)], ids=["grey", "rgb"])
def test_every_image_of_a_flat_array_is_found_again(tmp_path, colours):
    planes = [(24, 40), (40, 24), (7, 5), (24, 40), (1, 9)]
    images = [noise(seed, (*plane, *colours)) for seed, plane in enumerate(planes)]
    labels = labels_for(images)
    manifest = write_set(tmp_path, images, labels)
    raw_images, raw_labels, index, stored_images, stored_labels = store_of(tmp_path, manifest)
    assert raw_images.ndim == raw_labels.ndim == 1
    assert raw_images.size == sum(image.size for image in images)
    assert stored_images.ids == index["id"].tolist() == ["000", "001", "002", "003", "004"]
    for image_id, image, label in zip(index["id"], images, labels, strict=True):
        assert stored_images.shape(image_id) == image.shape
        np.testing.assert_array_equal(stored_images[image_id], image)
        np.testing.assert_array_equal(stored_labels[image_id], label > 0)


def test_grey_among_rgb_is_repeated(tmp_path):
    images = [noise(0, (8, 9)), noise(1, (8, 9, 3))]
    *_, index, stored, _ = store_of(tmp_path, write_set(tmp_path, images, labels_for(images)))
    assert index["channels"].tolist() == [3, 3]
    np.testing.assert_array_equal(stored["000"], np.dstack([images[0]] * 3))
    np.testing.assert_array_equal(stored["001"], images[1])


@pytest.mark.parametrize("top", [65535, 4095])
def test_8_bits_among_16_span_the_range_that_is_set(tmp_path, top):
    images = [noise(0, (8, 9)), noise(1, (8, 9), np.uint16)]
    images[0][0, :2] = 0, 255
    manifest = write_set(tmp_path, images, labels_for(images))
    *_, stored, _ = store_of(tmp_path, manifest, value_range=top)
    assert stored.dtype == np.uint16
    assert stored["000"][0, :2].tolist() == [0, top]
    np.testing.assert_allclose(stored["000"], images[0] * (top / 255), atol=0.5)
    np.testing.assert_array_equal(stored["001"], images[1])


def test_8_bits_among_16_keep_their_values_where_no_range_is_set(tmp_path):
    images = [noise(0, (8, 9)), noise(1, (8, 9), np.uint16)]
    *_, stored, _ = store_of(tmp_path, write_set(tmp_path, images, labels_for(images)))
    np.testing.assert_array_equal(stored["000"], images[0])


def test_8_bit_grey_among_16_bit_rgb(tmp_path):
    images = [noise(0, (8, 9)), noise(1, (6, 9, 3), np.uint16)]
    manifest = write_set(tmp_path, images, labels_for(images))
    *_, stored, _ = store_of(tmp_path, manifest, value_range=65535)
    widened = images[0].astype(np.uint16) * 257
    np.testing.assert_array_equal(stored["000"], np.dstack([widened] * 3))
    np.testing.assert_array_equal(stored["001"], images[1])


@pytest.mark.parametrize(
    ("top", "dtype"), [(1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16)]
)
def test_labels_of_any_range_become_0_and_1(tmp_path, top, dtype):
    images = [noise(seed, (12, 12)) for seed in range(2)]
    labels = labels_for(images, top, dtype)
    *_, stored = store_of(tmp_path, write_set(tmp_path, images, labels))
    assert stored.dtype == np.uint8
    for image_id, label in zip(stored.ids, labels, strict=True):
        np.testing.assert_array_equal(stored[image_id], label > 0)


def test_the_manifest_says_which_values_are_foreground(tmp_path):
    labels = [np.array([[0, 127, 128, 255]], np.uint8), np.array([[0, 1, 1, 0]], np.uint8)]
    images = [noise(seed, (1, 4)) for seed in range(2)]
    *_, stored = store_of(tmp_path, write_set(tmp_path, images, labels, "above 127.5"))
    assert stored["000"].tolist() == [[0, 0, 1, 1]]
    assert stored["001"].tolist() == [[0, 0, 0, 0]]


def test_the_store_is_read_only_and_not_loaded(tmp_path):
    images = [noise(0, (8, 9))]
    *_, stored, _ = store_of(tmp_path, write_set(tmp_path, images, labels_for(images)))
    view = stored["000"]
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_the_store_reads_what_the_files_hold(tmp_path):
    images = [noise(0, (8, 9)), noise(1, (5, 5))]
    manifest = write_set(tmp_path, images, labels_for(images))
    write_csv(tmp_path / "manifest.csv", manifest)
    *_, stored_images, stored_labels = store_of(tmp_path, read_csv(tmp_path / "manifest.csv"))
    for row in manifest.itertuples():
        np.testing.assert_array_equal(stored_images[row.id], read_pixels(row.image))
        np.testing.assert_array_equal(stored_labels[row.id], read_label(row.label).values // 255)


@pytest.mark.parametrize("planes", [[(4, 6)] * 3, [(4, 6), (2, 3), (5, 5)]], ids=["equal", "mixed"])
def test_probabilities_are_found_in_the_order_of_their_ids(tmp_path, planes):
    index = pd.DataFrame(planes, columns=["height", "width"]).assign(id=["a", "b", "c"])
    chosen = {"c": planes[2], "a": planes[0]}
    values = {i: np.random.default_rng(5).random(plane, np.float32) for i, plane in chosen.items()}
    flat = np.concatenate([array.reshape(-1) for array in values.values()]).astype(np.float16)
    np.save(tmp_path / "p.npy", flat)
    stored = open_probabilities(tmp_path / "p.npy", index, list(chosen))
    assert stored.ids == ["c", "a"]
    for image_id, array in values.items():
        np.testing.assert_array_equal(stored[image_id], array.astype(np.float16))


def test_no_copy_of_a_large_image_or_label_is_made(tmp_path):
    image = np.add.outer(np.arange(3000), np.arange(3000)).astype(np.uint8)
    label = np.where(image > 127, 255, 0).astype(np.uint8)
    manifest = write_set(tmp_path, [image], [label])
    paths = [tmp_path / name for name in ("images.npy", "labels.npy", "index.csv")]
    tracemalloc.start()
    build_store(manifest, *paths)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * image.size
    np.testing.assert_array_equal(np.load(paths[1])[0], label > 0)


def test_a_pair_that_changes_while_it_is_stored_is_named(tmp_path):
    images = [noise(seed, (24, 40)) for seed in range(2)]
    manifest = write_set(tmp_path, images, labels_for(images))
    path = tmp_path / "label-1.png"  # the last file
    path.write_bytes(imagecodecs.png_encode(labels_for(images)[0]))
    paths = [tmp_path / name for name in ("images.npy", "labels.npy", "index.csv")]
    with pytest.raises(UserError, match=r"label-1\.png: changed since validate read it"):
        build_store(manifest, *paths)
    assert not any(path.exists() for path in paths)
