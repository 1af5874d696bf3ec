"""Archives that try to write elsewhere, to hide an image, or to fill the disk."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile

import pytest
from archive_files import PNG, entry, images_of, refuse, write_tar, write_zip

from maskmake.data.archives import LARGEST_LIST

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
    assert "cannot be read as an archive" in refuse(tmp_path / "x.tar", tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_no_tar_inside_is_named(compress, tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(compress(b"no tar" * 500))
    assert "cannot be read as an archive" in refuse(tmp_path / "x.tar.gz", tmp_path)
