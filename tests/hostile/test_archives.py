"""Archives that try to write elsewhere, to hide an image, to fill the disk, or that are damaged."""

import bz2
import gzip
import io
import lzma
import random
import shutil
import stat
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import tifffile
from bounded import refusal
from PIL import Image

from maskmake.data.archives import LARGEST_LIST
from maskmake.data.retrieval import copy_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png(7)


def entry(name, kind=tarfile.REGTYPE, link="", size=None, **attributes):
    """A header of a tar; ``size`` is claimed without any content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size or 0
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def write_tar(path, *members, mode="w"):
    """Members are headers, or pairs of a name and its content."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tuple):
                info = entry(member[0], size=len(member[1]))
                archive.addfile(info, io.BytesIO(member[1]))
            else:
                archive.addfile(member)
    return path


def write_zip(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def change(path, edit):
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)
    return path


def images_of(path, tmp_path):
    out = tmp_path / "out/image"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    copy_images([str(path)], out)
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def refuse(path, tmp_path):
    return refusal(images_of, path, tmp_path).removeprefix(f"{path}: ")


# --- nothing is written elsewhere -----------------------------------------------------------------


def write_escape(path):
    """After CVE-2025-4517: links so long that they are not resolved, then a file behind them."""
    folder, steps, below, members = "d" * 247, "abcdefghijklmnop", "", []
    for step in steps:
        members.append(entry(f"{below}{folder}", tarfile.DIRTYPE))
        members.append(entry(f"{below}{step}", tarfile.SYMTYPE, folder))
        below += f"{folder}/"
    link = "/".join(steps) + "/" + "l" * 254
    members.append(entry(link, tarfile.SYMTYPE, "../" * len(steps)))
    members.append(entry("escape", tarfile.SYMTYPE, f"{link}/../../../victim"))
    members.append(entry("hard", tarfile.LNKTYPE, "escape/target.txt"))
    return write_tar(path, *members, ("hard", b"of the archive"), ("a.png", PNG))


def test_a_tar_overwrites_no_file_of_the_user(tmp_path):
    """On Python 3.11.7, 3.12.1 and 3.13.0, unpacking this one does, even with a filter."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/target.txt").write_text("mine")
    archive = write_escape(tmp_path / "x.tar")
    assert images_of(archive, tmp_path) == {"a.png": PNG}
    assert (tmp_path / "victim/target.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.rglob("*")} == {
        "victim", "target.txt", "x.tar", "out", "image", "a.png"
    }  # fmt: skip


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("../a.png", "a.png"),
        ("/etc/a.png", "a.png"),
        ("../test/a.png", "test/a.png"),
        ("train/../a.png", "a.png"),
        ("slice..01.png", "slice..01.png"),
        ("deep/a.PNG", "a.PNG"),
    ],
)
def test_a_name_is_no_path(write, name, becomes, tmp_path):
    archive = write(tmp_path / "x", (name, PNG))
    assert images_of(archive, tmp_path) == {becomes: PNG}


def test_folders_of_windows_are_folders(tmp_path):
    archive = write_zip(tmp_path / "x.zip", ("..\\..\\train\\a.png", PNG))
    assert images_of(archive, tmp_path) == {"train/a.png": PNG}


@pytest.mark.parametrize("name", ["X.ZIP", "x.Tar", "X.TAR.GZ", "images"])
def test_an_archive_is_known_by_its_content(name, tmp_path):
    mode = "w:gz" if name.endswith("GZ") else "w"
    write = write_zip if name in ("X.ZIP", "images") else write_tar
    archive = write(
        tmp_path / name, ("a.png", PNG), **({"mode": mode} if write is write_tar else {})
    )
    assert images_of(archive, tmp_path) == {"a.png": PNG}


# --- no image is lost -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "member",
    [
        entry("l.png", tarfile.SYMTYPE, "/etc/hostname"),
        entry("l.png", tarfile.SYMTYPE, "a.png"),
        entry("l.png", tarfile.SYMTYPE, "l.png"),
        entry("l.png", tarfile.LNKTYPE, "none.png"),
        entry("l.png", tarfile.CHRTYPE, devmajor=1, devminor=5),
        entry("l.png", tarfile.FIFOTYPE),
    ],
    ids=["link outside", "link inside", "loop", "hard link", "device", "FIFO"],
)
def test_an_image_that_is_no_regular_file_is_named(member, tmp_path):
    archive = write_tar(tmp_path / "x.tar", ("a.png", PNG), member)
    assert refuse(archive, tmp_path).startswith(("l.png is a link;", "l.png is a special file;"))


def test_a_link_in_a_zip_is_named(tmp_path):
    link = zipfile.ZipInfo("l.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_zip(tmp_path / "x.zip", (link, "/etc/passwd"))
    assert refuse(archive, tmp_path).startswith("l.png is a link; expected regular files only")


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.png", "a.png"), ("p/a.png", "q/a.png")])
def test_two_images_of_one_name_are_named(write, names, tmp_path):
    archive = write(tmp_path / "x", *((name, PNG) for name in names))
    assert "two images of the name a.png; expected" in refuse(archive, tmp_path)


@pytest.mark.parametrize("length", [250, 300])
def test_a_name_that_no_file_can_have_is_named(length, tmp_path):
    archive = write_zip(tmp_path / "x.zip", ("n" * (length - 4) + ".png", PNG))
    assert "is too long; expected at most 240 bytes" in refuse(archive, tmp_path)


# --- damage ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:bz2", "w:xz"])
def test_a_flipped_bit_changes_no_image(kind, tmp_path):
    members = four_images().items()
    if kind == "zip":
        archive = write_zip(tmp_path / "x.zip", *members)
    else:
        archive = write_tar(tmp_path / "x.tar", *members, mode=kind)
    assert "other" not in mutations(archive, 20, tmp_path)


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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zip", "w:gz", "w:bz2", "w:xz"])
def test_no_flipped_bit_changes_an_image(kind, tmp_path):
    members = four_images().items()
    if kind == "zip":
        archive = write_zip(tmp_path / "x.zip", *members)
    else:
        archive = write_tar(tmp_path / "x.tar", *members, mode=kind)
    assert "other" not in mutations(archive, 250, tmp_path)


def test_a_flipped_bit_of_a_tar_is_found_by_its_sum(tmp_path):
    """A tar without compression has no checksum of its own."""
    archive = write_tar(tmp_path / "x.tar", *four_images().items())
    sums = [sha256(archive)]
    copy_images([str(archive)], tmp_path / "out/image", sums)
    change(archive, lambda content: content.__setitem__(900, content[900] ^ 1))
    sentence = refusal(copy_images, [str(archive)], tmp_path / "out/image", sums)
    assert f"SHA-256 {sha256(archive)} found, {sums[0]} expected" in sentence


# --- more than a machine can take -----------------------------------------------------------------


def gzipped(path, write):
    """A tar.gz whose headers claim what is not there, as ``write`` makes them."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        write(archive)
    path.write_bytes(gzip.compress(tar.getvalue(), 1))
    return path


def test_a_tar_that_claims_a_terabyte_is_named(tmp_path):
    archive = gzipped(tmp_path / "x.tgz", lambda t: t.addfile(entry("a.png", size=1 << 40)))
    assert "bytes that unpack to 1099511629312 or more; expected" in refuse(archive, tmp_path)


def test_a_zip_of_five_hundred_gigabytes_is_named(tmp_path):
    """Half a thousand members that share the bytes of one, as a bomb of one layer has them."""
    path = write_zip(tmp_path / "x.zip", *((f"{i}.png", b"") for i in range(500)))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2")
    while at >= 0:
        content[at + 24 : at + 28] = struct.pack("<I", (1 << 30) - 1)
        at = content.find(b"PK\1\2", at + 1)
    path.write_bytes(content)
    assert "unpack to 536870911500 or more; expected at most" in refuse(path, tmp_path)


def test_what_is_no_image_is_not_unpacked(tmp_path):
    archive = write_zip(tmp_path / "x.zip", ("big.bin", bytes(20 << 20)), ("a.png", PNG))
    assert images_of(archive, tmp_path) == {"a.png": PNG}


def test_a_long_list_of_members_is_named(tmp_path):
    path = tmp_path / "x.zip"
    size = LARGEST_LIST + 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    path.write_bytes(bytes(size) + end)
    assert f"a list of members of {size} bytes; expected at most" in refuse(path, tmp_path)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_name_of_a_gigabyte_is_named(kind, tmp_path):
    archive = gzipped(tmp_path / "x.tgz", lambda t: t.addfile(entry("x", kind, size=1 << 30)))
    assert "a name or header of 1073741824 bytes" in refuse(archive, tmp_path)


def test_a_negative_size_is_named(tmp_path):
    """After CVE-2025-8194: tarfile reads the same member for ever."""
    header = entry("a.png", pax_headers={"size": "-1024"})
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(header)
    assert "cannot be read as an archive" in refuse(tmp_path / "x.tar", tmp_path)


def test_a_sparse_file_without_its_map_is_named(tmp_path):
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.png"}
    headers["GNU.sparse.realsize"] = "4096"
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = entry("a.png", size=512, pax_headers=headers)
        archive.addfile(info, io.BytesIO((b"99999999\n" + b"1\n" * 300)[:512]))
    assert refuse(tmp_path / "x.tar", tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_no_tar_inside_is_named(compress, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(compress(b"no tar" * 500))
    assert "cannot be read as an archive" in refuse(tmp_path / "x.tar.gz", tmp_path)
