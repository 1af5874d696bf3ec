"""A file is as old as its bytes."""

import os
import shutil

import pytest

from maskmake.data.file_versions import changes, read_record, version_of, write_scan
from maskmake.runtime.errors import UserError


@pytest.fixture
def files(tmp_path):
    """Three files as a validation has seen them, and its record."""
    paths = [tmp_path / name for name in ("1.png", "2.png", "ü, 3.png")]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 100)
    names = list(map(str, paths))
    before = version_of(names, tmp_path / "record.csv")
    write_scan(names, tmp_path / "record.csv")
    assert version_of(names, tmp_path / "record.csv") == before
    return paths, tmp_path / "record.csv", before


def later(path, seconds=10):
    stat = path.stat()
    os.utime(path, (stat.st_atime + seconds, stat.st_mtime + seconds))


def test_a_touched_and_a_copied_file_are_as_old_as_before(files, tmp_path):
    paths, record, before = files
    later(paths[0])
    shutil.copyfile(paths[1], tmp_path / "copy")
    (tmp_path / "copy").replace(paths[1])
    names = list(map(str, paths))
    assert changes(names, record) == {"added": [], "removed": [], "changed": []}
    assert version_of(names, record) == before
    # The new times are noted, so that the bytes need not be read again.
    assert [c.modified for c in read_record(record).values()] == [
        path.stat().st_mtime_ns for path in paths
    ]


@pytest.mark.parametrize("content", [b"\7" * 100, b"\7" * 99], ids=["same size", "other size"])
def test_an_edited_file_is_new_until_it_has_its_former_bytes(content, files):
    paths, record, before = files
    names, former = list(map(str, paths)), paths[0].read_bytes()
    paths[0].write_bytes(content)
    later(paths[0])
    assert version_of(names, record) != before
    assert changes(names, record)["changed"] == names[:1]
    paths[0].write_bytes(former)
    later(paths[0], 20)
    assert version_of(names, record) == before


def test_a_file_more_or_less_is_another_version(files, tmp_path):
    paths, record, before = files
    names = list(map(str, paths))
    (tmp_path / "4.png").write_bytes(b"")
    more = [*names, str(tmp_path / "4.png")]
    assert len({before, version_of(more, record), version_of(names[1:], record)}) == 3
    assert changes(more, record)["added"] == more[3:]
    assert changes(names[1:], record)["removed"] == names[:1]


def test_a_record_that_cannot_be_written_does_no_harm(files):
    paths, record, before = files
    later(paths[0])
    record.parent.chmod(0o500)
    try:
        assert version_of(list(map(str, paths)), record) == before
    finally:
        record.parent.chmod(0o700)


@pytest.mark.parametrize("damage", [b"x.png,1", b"x.png,one,2,1-2,\n", b"\0\0\n", b"a" * 200_000])
def test_a_damaged_record_is_named(damage, files):
    paths, record, _ = files
    record.write_bytes(record.read_bytes() + damage)
    with pytest.raises(UserError, match=rf"{record}, line 4: damaged; expected .* remove it"):
        version_of(list(map(str, paths)), record)


def test_what_cannot_be_read_is_new_whenever_its_time_is(tmp_path):
    names, record = [str(tmp_path)], tmp_path / "record.csv"
    write_scan(names, record)
    before = version_of(names, record)
    later(tmp_path)
    assert version_of(names, record) != before
