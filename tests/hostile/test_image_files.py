"""Images that were made to do harm: each is refused by name, soon, and in little memory."""

import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bounded import in_a_child
from image_bytes import (
    MOST,
    PIXELS,
    SIDE,
    chunk,
    flipped,
    png,
    read_by_bands,
    refusals,
    saved,
    stack,
    tiff,
)
from PIL import Image

from maskmake.data import images
from maskmake.data.audit import audit_dataset
from maskmake.data.file_versions import version_of, write_scan
from maskmake.data.folders import list_images
from maskmake.data.images import open_image_files, read_pixels


def entry(data: bytes, tag: int) -> int:
    """Where a tag of the first page of a little-endian TIFF stands."""
    first = struct.unpack_from("<I", data, 4)[0]
    places = range(first + 2, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], 12)
    return next(place for place in places if struct.unpack_from("<H", data, place)[0] == tag)


def tagged(data: bytes, tag: int, value=None, count=None, kind=4) -> bytes:
    """A TIFF whose tag has another value or count."""
    changed, place = bytearray(data), entry(data, tag)
    if value is not None:
        struct.pack_into("<HII", changed, place + 2, kind, 1, value)
    if count is not None:
        struct.pack_into("<I", changed, place + 4, count)
    return bytes(changed)


def page_list(data: bytes, page: int, offset: int) -> bytes:
    """A TIFF whose list goes on at ``offset`` after a page."""
    changed = bytearray(data)
    place = 4
    for _ in range(page + 1):
        directory = struct.unpack_from("<I", data, place)[0]
        place = directory + 2 + 12 * struct.unpack_from("<H", data, directory)[0]
    struct.pack_into("<I", changed, place, offset)
    return bytes(changed)


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + head + bytes(100)


def jpeg(width: int, height: int) -> bytes:
    data = bytearray(saved("JPEG"))
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


GIF = saved("GIF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
ANIMATED = saved("PNG", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"
STRIPS = tiff(compression="zlib", rowsperstrip=8)
TILES = tiff(compression="zlib", tile=(16, 16))
COLOURS = np.dstack([PIXELS, PIXELS[::-1], PIXELS.T])

# Content and what the sentence says.
REFUSED = {
    "eps.png": (EPS, "another kind"),
    "icon.png": (saved("ICO"), "another kind"),
    "targa.png": (saved("TGA"), "another kind"),
    "gif.png": (GIF, "an animation of 2 images"),
    "film.webp": (
        saved("WEBP", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
        "an animation of 2 images",
    ),
    "cut.gif": (saved("GIF")[:-900], "cannot be decoded"),
    "cut.webp": (saved("WEBP", lossless=True)[:-90], "cannot be decoded"),
    "cut.jp2": (saved("JPEG2000")[:-900], "cannot be decoded"),
    "animation.png": (ANIMATED, "an animation of 2 images"),
    "wide.png": (png(MOST, 1), "claims 1 x 2147483647 pixels"),
    "wide-rgba.png": (png(MOST, 1, 16, 6), "claims 1 x 2147483647"),
    "high.png": (png(1, MOST), "claims 2147483647 x 1"),
    "both.png": (png(MOST, MOST, 16, 6), "claims"),
    "large.png": (png(50_000, 50_000), "claims 50000 x 50000"),
    "sum.png": (flipped(png(), 60), "checksum"),
    "sum-of-header.png": (flipped(png(), 30), "checksum"),
    "sum-of-entry.png": (flipped(png(before=chunk(b"tEXt", b"a\0bcd")), 45), "checksum"),
    "cut.png": (png()[:-20], "cut"),
    "chunk.png": (png()[:33] + struct.pack(">I4s", MOST, b"IDAT"), "cut"),
    "large.bmp": (bmp(50_000, 50_000), "claims 50000 x 50000"),
    "large.jpg": (jpeg(65_500, 65_500), "claims 65500 x 65500"),
    "header-alone.tif": (stack(1)[:8], "breaks off after 0 pages"),
    "loop.tif": (page_list(stack(3), 2, 8), "breaks off after 3 pages"),
    "broken-list.tif": (page_list(stack(9), 3, 2**31), "breaks off after 4 pages"),
    "broken-list-of-one.tif": (page_list(stack(1), 0, 2**31), "breaks off after 1 pages"),
    "bits.tif": (tagged(tiff(photometric="miniswhite"), 258, 2**32 - 1), "4294967295 bits"),
    "strips.tif": (tagged(STRIPS, 273, count=4), "4 strips or tiles are listed of 8"),
    "strips-of-no-rows.tif": (tagged(tiff(), 278, 0), "strips or tiles have no pixels"),
    "tiles.tif": (tagged(TILES, 324, count=8), "8 strips or tiles are listed of 16"),
    "a-billion-tiles.tif": (tagged(TILES, 324, count=10**9), "strips or tiles are listed"),
    "planar.tif": (
        tagged(tiff(COLOURS, photometric="rgb"), 284, 60, kind=3),
        "PlanarConfiguration is 60",
    ),
    "large.tif": (tagged(tagged(tagged(tiff(), 256, 50_000), 257, 50_000), 278, 50_000), "claimed"),
    "large-zip.tif": (tagged(tagged(STRIPS, 256, MOST), 257, MOST), ""),
    "tile.tif": (tagged(tagged(TILES, 322, 2**30), 323, 2**30), "GiB of memory"),
    "far-strip.tif": (tagged(tiff(compression="zlib"), 273, 2**31), "lies beyond the end"),
    "codec.tif": (tagged(tiff(), 259, 34887, kind=3), "compression LERC"),
    "no-jpeg.tif": (tagged(tiff(), 259, 7, kind=3), "does not begin as its compression does"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_by_name_soon_and_in_little_memory(name, tmp_path):
    content, says = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    for sentence in in_a_child(lambda: refusals(path)).split("\n"):
        lossy = re.search("a (JPEG|JPEG 2000|WebP) label", sentence)
        assert sentence.startswith(str(path)) or lossy
        assert says in sentence or lossy


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "link to nothing", "link to itself", "gone"])
def test_what_is_no_file_is_refused_and_not_left_out(kind, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "link to nothing":
            path.symlink_to("nowhere")
        case "link to itself":
            path.symlink_to(path)
    if kind != "gone":
        assert list_images(tmp_path) == [path]

    def check():
        write_scan([str(path)], tmp_path / "record.csv")
        version_of([str(path)], tmp_path / "record.csv")
        return refusals(path)

    for sentence in in_a_child(check).split("\n"):
        assert sentence.startswith(f"{path}: ")


def test_ghostscript_is_never_asked(tmp_path, monkeypatch):
    called = tmp_path / "called"
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {called}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.png").write_bytes(EPS)
    refusals(tmp_path / "a.png")
    assert not called.exists()


def test_the_content_decides_and_not_the_suffix(tmp_path):
    for kind in ("PNG", "BMP", "TIFF"):
        for suffix in (".png", ".tif", ".jpg", ".bmp"):
            path = tmp_path / f"a{suffix}"
            path.write_bytes(saved(kind))
            np.testing.assert_array_equal(read_pixels(path), PIXELS)
            np.testing.assert_array_equal(read_by_bands(path), PIXELS)


@pytest.mark.parametrize("name", ["other.tif", "../private/other.tif", "pipe.tif", "&a9;"])
def test_ome_xml_opens_no_other_file(name, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "images").mkdir()
    for place in ("images", "private"):
        tifffile.imwrite(tmp_path / place / "other.tif", np.full((SIDE, SIDE), 200, np.uint8))
    os.mkfifo(tmp_path / "images" / "pipe.tif")
    laughs = "".join(
        f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' if n else '<!ENTITY a1 "aaaaaaaaaa">'
        for n in range(9)
    )
    document = f"""<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE x [{laughs}]>
        <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">
        <Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8"
        SizeX="{SIDE}" SizeY="{SIDE}" SizeZ="1" SizeC="1" SizeT="1">
        <Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1">
        <UUID FileName="{name}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>"""
    path = tmp_path / "images" / "a.ome.tif"
    path.write_bytes(tiff(description=document))

    def check():
        whole, by_bands = read_pixels(path), read_by_bands(path)
        return str((whole == PIXELS).all() and (by_bands == PIXELS).all())

    assert in_a_child(check) == "True"


@pytest.mark.parametrize("tail", [b"\0", bytes(1000)], ids=["a byte", "many"])
def test_bytes_behind_the_stream_of_a_large_png_end_no_loop(tail, tmp_path):
    pixels = np.tile(PIXELS, (33, 33))
    path = tmp_path / "a.png"
    path.write_bytes(png(*pixels.shape[::-1], pixels=pixels, tail=tail))
    assert pixels.size > images.WHOLE_PIXELS
    assert in_a_child(lambda: str((read_by_bands(path) == pixels).all())) == "True"


def test_an_overview_of_a_page_is_no_page_of_a_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(PIXELS, metadata=None)
        writer.write(PIXELS[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), PIXELS)
    (image,) = open_image_files(tmp_path / "a.tif")
    assert (image.id, image.shape) == ("a", PIXELS.shape)


def test_the_audit_names_every_odd_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "labels"):
        Path(folder).mkdir()
        for number in range(4):
            label = np.where(PIXELS > 99, 255, 0).astype(np.uint8)
            Image.fromarray(label).save(f"{folder}/{number}.png")
        for stem in ("caf\udce9", "b" * 250):
            Path(folder, f"{stem}.png").write_bytes(png())
        Path(folder, "loop.png").symlink_to("loop.png")
        Path(folder, "lost.png").symlink_to("nowhere.png")
    faults = audit_dataset("images", "labels", 0.5, 0.05, "accept", None).faults
    for name in ("caf\\udce9", "loop.png", "lost.png"):
        assert sum(name in fault for fault in faults) == 2, name
    (long,) = [fault for fault in faults if "b" * 250 in fault]
    assert ".png and 1 more file: " in long
