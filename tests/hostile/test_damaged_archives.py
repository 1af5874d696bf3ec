"""Archives that are damaged: each is named, or its images are what they were."""

import io
import random
import struct
import zipfile

import numpy as np
import pytest
import tifffile
from archive_files import PNG, change, images_of, refuse, write_tar, write_zip
from bounded import refusal

from maskmake.data.retrieval import copy_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256


def encrypt(content):
    content[content.index(b"PK\3\4") + 6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1


def of_method(number):
    def edit(content):
        for signature, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
            start = content.index(signature) + at
            content[start : start + 2] = struct.pack("<H", number)

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (encrypt, "a.png is encrypted; expected an archive without a password"),
        (of_method(9), "That compression method is not supported"),
        (of_method(14), "cannot be read as an archive"),
    ],
)
def test_a_zip_that_cannot_be_read_is_named(edit, sentence, tmp_path):
    archive = change(write_zip(tmp_path / "x.zip", ("a.png", PNG)), edit)
    assert sentence in refuse(archive, tmp_path)


def test_a_tar_that_is_cut_between_two_images_is_named(tmp_path):
    archive = write_tar(tmp_path / "x.tar", *((f"{i}.png", PNG) for i in range(4)))
    change(archive, lambda content: content.__delitem__(slice(2 * (512 + 512), None)))
    assert "cannot be read as an archive (empty header" in refuse(archive, tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.9995])
@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar_that_is_cut_is_named(mode, share, tmp_path):
    noise = random.Random(1).randbytes(5000)
    archive = write_tar(tmp_path / "x.tar", ("a.png", PNG), ("b.png", noise), mode=mode)
    change(archive, lambda content: content.__delitem__(slice(int(len(content) * share), None)))
    assert "cannot be read as an archive" in refuse(archive, tmp_path)


def four_images():
    value = random.Random(2)
    buffers = {f"{i}.tif": io.BytesIO() for i in range(4)}
    for buffer in buffers.values():
        tifffile.imwrite(buffer, np.frombuffer(value.randbytes(1024), np.uint8).reshape(32, 32))
    return {name: buffer.getvalue() for name, buffer in buffers.items()}


def mutations(archive, count, tmp_path):
    """How an archive with one flipped bit is taken: ``same``, ``other`` images, or a sentence."""
    original, expected = archive.read_bytes(), images_of(archive, tmp_path)
    place, outcomes = random.Random(3), set()
    for _ in range(count):
        content = bytearray(original)
        content[place.randrange(len(content))] ^= 1 << place.randrange(8)
        archive.write_bytes(content)
        try:
            outcomes.add("same" if images_of(archive, tmp_path) == expected else "other")
        except UserError as error:
            assert str(error).startswith(f"{archive}: ")
            outcomes.add("sentence")
    return outcomes


@pytest.mark.parametrize("count", [20, pytest.param(250, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:bz2", "w:xz"])
def test_a_flipped_bit_changes_no_image(kind, count, tmp_path):
    members = four_images().items()
    if kind == "zip":
        archive = write_zip(tmp_path / "x.zip", *members)
    else:
        archive = write_tar(tmp_path / "x.tar", *members, mode=kind)
    assert "other" not in mutations(archive, count, tmp_path)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda entry: entry.replace(b".tif", b".tmf"), "'2.tmf' has another name before its"),
        (lambda entry: entry.replace(b"2.tif", b".2tif"), "'.2tif' has another name before its"),
        (lambda entry: entry[:32] + b"\x40" + entry[33:], "3 members are listed of 4"),
    ],
    ids=["suffix", "hidden", "comment over the next member"],
)
def test_an_image_that_damage_hides_in_the_list_of_a_zip_is_missed(edit, sentence, tmp_path):
    """Neither names nor lengths in that list have a checksum."""
    archive = write_zip(tmp_path / "x.zip", *four_images().items())
    content = archive.read_bytes()
    third = content.index(b"PK\1\2", content.rindex(b"1.tif"))
    last = content.index(b"PK\1\2", third + 4)
    archive.write_bytes(content[:third] + edit(content[third:last]) + content[last:])
    assert sentence in refuse(archive, tmp_path)


def long_list(monkeypatch):
    """Let zipfile write the end of a zip of more than 65,535 members, whose short count is full."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)

    def edit(content):
        end = content.rindex(b"PK\5\6")
        assert content[end - 20 : end - 16] == b"PK\6\7"
        content[end + 8 : end + 12] = b"\xff" * 4

    return edit


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"c" * 65535])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"], ids=["zip", "behind a program"])
def test_the_members_of_a_whole_zip_are_as_many_as_it_says(
    comment, long, before, tmp_path, monkeypatch
):
    edit = long_list(monkeypatch) if long else bytes
    images = four_images()
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, content in images.items():
            archive.writestr(name, content)
    change(path, edit)
    path.write_bytes(before + path.read_bytes())
    assert images_of(path, tmp_path) == images


def test_a_member_that_is_not_listed_is_missed_in_a_zip_of_a_long_list(tmp_path, monkeypatch):
    edit = long_list(monkeypatch)
    archive = change(write_zip(tmp_path / "x.zip", *four_images().items()), edit)
    content = archive.read_bytes()
    last = content.rindex(b"PK\1\2")
    third = content.rindex(b"PK\1\2", 0, last)
    archive.write_bytes(content[: third + 32] + b"\x40" + content[third + 33 :])
    assert "3 members are listed of 4" in refuse(archive, tmp_path)


def test_a_flipped_bit_of_a_tar_is_found_by_its_sum(tmp_path):
    """A tar without compression has no checksum of its own."""
    archive = write_tar(tmp_path / "x.tar", *four_images().items())
    sums = [sha256(archive)]
    copy_images([str(archive)], tmp_path / "out/image", sums)
    change(archive, lambda content: content.__setitem__(900, content[900] ^ 1))
    sentence = refusal(copy_images, [str(archive)], tmp_path / "out/image", sums)
    assert f"SHA-256 {sha256(archive)} found, {sums[0]} expected" in sentence
