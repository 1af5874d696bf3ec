"""Images out of files, folders and archives."""

import shutil
import tarfile

import numpy as np
import pytest

from maskmake.data.retrieval import copy_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_png

IMAGE = np.zeros((4, 4), np.uint8)


@pytest.fixture
def given(tmp_path):
    """A folder with images at several depths, and what is none."""
    folder = tmp_path / "given"
    for name in ("a.png", "deep/b.PNG", "deep/train/c.png", "deep/Val/d.png", "__MACOSX/._a.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path.with_suffix(".png"), IMAGE)
        path.with_suffix(".png").rename(path)
    (folder / "notes.txt").write_text("no image")
    return folder


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", ["folder", "zip", "gztar", "tar"])
def test_images_come_out_flat_but_for_their_role(form, given, tmp_path):
    source = given if form == "folder" else shutil.make_archive(tmp_path / "x", form, given)
    copy_images([str(source)], tmp_path / "out/image")
    assert names(tmp_path / "out") == [
        "image/Val/d.png",
        "image/a.png",
        "image/b.PNG",
        "image/train/c.png",
    ]


def test_files_are_taken_as_they_are(given, tmp_path):
    copy_images([str(given / "a.png"), str(given / "deep/b.PNG")], tmp_path / "out/image")
    assert names(tmp_path / "out") == ["image/a.png", "image/b.PNG"]


def test_two_images_of_one_name_are_refused(given, tmp_path):
    with pytest.raises(UserError, match=r"a\.png is also in .*rename one"):
        copy_images([str(given), str(given / "a.png")], tmp_path / "out/image")


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_two_images_of_one_name_in_folders_of_one_source_are_refused(form, tmp_path):
    for patient in ("p1", "p2"):
        write_png(tmp_path / "x" / patient / "image.png", IMAGE)
    source = (
        tmp_path / "x"
        if form == "folder"
        else shutil.make_archive(tmp_path / "y", form, tmp_path / "x")
    )
    with pytest.raises(UserError, match=r"[xyp.zi]+: two images of the name image\.png; expec"):
        copy_images([str(source)], tmp_path / "out/image")


def test_a_name_with_a_zero_byte_is_refused(tmp_path):
    member = tarfile.TarInfo("a.png")
    member.pax_headers = {"path": "a\0b.png"}
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    with pytest.raises(UserError, match=r"x\.tar: the name 'a\\x00b\.png' has a zero byte; expec"):
        copy_images([str(tmp_path / "x.tar")], tmp_path / "out/image")


def test_what_holds_no_image_is_named(given, tmp_path):
    with pytest.raises(UserError, match=r"notes\.txt: holds no image"):
        copy_images([str(given / "notes.txt")], tmp_path / "out/image")


def test_a_link_to_nothing_is_named(given, tmp_path):
    (given / ".#a.png").symlink_to("user@host.1234")  # a lock of Emacs
    copy_images([str(given)], tmp_path / "out/image")
    (given / "deep/e.png").symlink_to("gone.png")
    with pytest.raises(UserError, match=r"deep/e\.png: a link to gone\.png, which is not there"):
        copy_images([str(given)], tmp_path / "again/image")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "tar"])
def test_half_an_archive_is_named(suffix, given, tmp_path):
    (tmp_path / f"x.{suffix}").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=r"cannot be read as an archive .* store it again"):
        copy_images([str(tmp_path / f"x.{suffix}")], tmp_path / "out/image")
