"""Stacks and large images take no more time and memory than they need, or are named."""

import resource

import numpy as np
import pytest
import tifffile
from bounded import in_a_child
from image_bytes import PIXELS, saved, stack, tiff

from maskmake.data.images import open_image_files, read_pixels
from maskmake.data.label_values import label_histogram
from maskmake.runtime.errors import UserError


def test_opening_a_stack_takes_no_square_of_its_pages(tmp_path, monkeypatch):
    """Counted, since time is no measure: every page is loaded once."""
    (tmp_path / "a.tif").write_bytes(stack(60))
    loaded, original = [], tifffile.TiffPage.__init__

    def count(page, *arguments, **options):
        loaded.append(page)
        original(page, *arguments, **options)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", count)
    pages = open_image_files(tmp_path / "a.tif")
    assert len(pages) == 60
    assert len(loaded) < 2 * 60
    loaded.clear()
    np.testing.assert_array_equal(np.concatenate(list(pages[59].read())), PIXELS)
    assert len(loaded) < 5


def test_an_image_larger_than_the_memory_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("maskmake.data.file_checks.available_memory", lambda: 100 * 2**20)
    large = np.zeros((2**13, 2**14), np.uint8)  # 128 MiB
    (tmp_path / "a.png").write_bytes(saved("PNG", large))
    (tmp_path / "b.tif").write_bytes(tiff(large, compression="zlib", rowsperstrip=64))
    for name in ("a.png", "b.tif"):
        with pytest.raises(UserError, match=rf"{name}: reading 8192 x 16384 .* GiB are free"):
            read_pixels(tmp_path / name)
        assert sum(map(len, next(iter(open_image_files(tmp_path / name))).read())) == 2**13


def test_counting_the_values_of_a_label_takes_no_memory_for_each_pixel():
    label = np.tile(PIXELS, (80, 80))
    assert label.size > 20 * 2**20

    def check():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = label_histogram(label)
        assert (found.counts == 6400 * np.bincount(PIXELS.reshape(-1))[found.values]).all()
        return str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 60)

    assert in_a_child(check) == "True"
