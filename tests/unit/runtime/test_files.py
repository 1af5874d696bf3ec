"""No reader sees half a file."""

import errno
import json

import numpy as np
import pandas as pd
import pytest

from maskmake.data.images import read_pixels
from maskmake.runtime.errors import UserError, describe_storage_fault
from maskmake.runtime.files import (
    atomic,
    atomic_folder,
    read_csv,
    read_json,
    sha256,
    writable_array,
    write_csv,
    write_json,
    write_png,
    write_text,
)

HEIGHT, WIDTH = 20, 30


def noise(dtype, channels=None):
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(1).integers(0, top, shape, dtype=dtype)


# --- writing ----------------------------------------------------------------------------------


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert contents(tmp_path) == ["a.txt"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert contents(tmp_path) == ["a.txt"]


def test_a_folder_takes_the_place_of_the_old_one_whole_or_not_at_all(tmp_path):
    path = tmp_path / "made" / "pictures"
    for name in ("old", "new"):
        with atomic_folder(path) as temporary:
            (temporary / name).touch()
        assert contents(path) == [name]
    with pytest.raises(RuntimeError), atomic_folder(path) as temporary:
        (temporary / "half").touch()
        raise RuntimeError
    assert contents(path) == ["new"]
    assert contents(path.parent) == ["pictures"]


def test_a_full_disk_is_that_of_the_file_which_is_written():
    error = OSError(errno.ENOSPC, "No space left on device", "source", None, "copy")
    assert describe_storage_fault(error).startswith("copy: No space left on device;")


def test_an_array_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "made" / "a.npy"
    with pytest.raises(RuntimeError), writable_array(path, (4, 5), np.uint16):
        raise RuntimeError
    assert contents(path.parent) == []
    with writable_array(path, (4, 5), np.uint16) as array:
        array[:] = 7
        assert not path.exists()
    written = np.load(path)
    assert written.dtype == np.uint16
    np.testing.assert_array_equal(written, np.full((4, 5), 7))


def test_png_round_trip_and_bool_as_0_and_255(tmp_path):
    for channels in (None, 3):
        write_png(tmp_path / "a.png", noise(np.uint8, channels))
        np.testing.assert_array_equal(read_pixels(tmp_path / "a.png"), noise(np.uint8, channels))
    mask = noise(np.uint8) > 99
    write_png(tmp_path / "mask.png", mask)
    np.testing.assert_array_equal(read_pixels(tmp_path / "mask.png"), mask * 255)


def test_json_holds_no_nan_and_takes_numpy_values(tmp_path):
    value = {
        "nan": float("nan"),
        "infinite": [np.float32("inf"), (-np.inf,)],
        "scalar": np.int64(3),
        "array": np.array([[0.5, np.nan]]),
        7: True,
    }
    write_json(tmp_path / "a.json", value)
    expected = {
        "nan": None,
        "infinite": [None, [None]],
        "scalar": 3,
        "array": [[0.5, None]],
        "7": True,
    }
    assert read_json(tmp_path / "a.json") == expected
    assert "NaN" not in (tmp_path / "a.json").read_text()
    json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)


def test_ids_that_look_like_numbers_or_gaps_stay_text(tmp_path):
    ids = ["007", "NA", "nan", "null", "1e5", "1.0", "True", "ü-1"]
    table = pd.DataFrame({"id": ids, "group": ids[::-1], "role": "", "score": np.arange(8) / 3})
    table["other"] = "01"
    table.loc[3, "score"] = np.nan
    write_csv(tmp_path / "a.csv", table)
    read = read_csv(tmp_path / "a.csv")
    assert read["id"].tolist() == ids
    assert read["group"].tolist() == ids[::-1]
    assert read["role"].tolist() == [""] * 8
    assert read["other"].tolist() == ["01"] * 8
    np.testing.assert_allclose(read["score"], table["score"], rtol=1e-15)


def test_sha256_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe{}"], ids=["empty", "cut", "bytes"])
def test_a_json_document_that_is_not_whole_is_named(content, tmp_path):
    path = tmp_path / "training.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"training\.json: not a whole JSON document"):
        read_json(path)
