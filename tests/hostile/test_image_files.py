"""Images that were made to do harm: each is refused by name, soon, and in little memory."""

import contextlib
import io
import os
import re
import resource
import signal
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from bounded import PATIENCE
from PIL import Image, ImageOps

from maskmake.data import file_decoders, images
from maskmake.data.audit import audit_dataset
from maskmake.data.file_versions import version_of, write_scan
from maskmake.data.folders import list_images
from maskmake.data.images import open_image_files, read_pixels
from maskmake.data.label_files import read_label
from maskmake.data.label_values import label_histogram
from maskmake.runtime.errors import UserError

SECONDS, MEMORY = 2, 300  # MiB beyond what Python and the libraries take
SIDE = 64
PIXELS = np.add.outer(np.arange(SIDE), 3 * np.arange(SIDE)).astype(np.uint8)

# --- files ----------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width=SIDE, height=SIDE, depth=8, colour=0, pixels=PIXELS, before=b"", behind=b"", tail=b""
):
    """A PNG whose header claims what it is told to."""
    lines = np.pad(pixels, [(0, 0), (1, 0)]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(lines) + tail)
    return b"\x89PNG\r\n\x1a\n" + body + behind + chunk(b"IEND", b"")


def saved(kind: str, pixels=PIXELS, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels=PIXELS, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def stack(count: int) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(count):
            writer.write(PIXELS, contiguous=False, metadata=None)
    return file.getvalue()


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


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


GIF = saved("GIF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
ANIMATED = saved("PNG", save_all=True, append_images=[Image.fromarray(255 - PIXELS)])
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"
STRIPS = tiff(compression="zlib", rowsperstrip=8)
TILES = tiff(compression="zlib", tile=(16, 16))
COLOURS = np.dstack([PIXELS, PIXELS[::-1], PIXELS.T])
MOST = 2**31 - 1

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


def in_a_child(check) -> str:
    """Run in a fork what may hang or ask for much; its answer, once time and memory are checked."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(PATIENCE)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            answer = check()
        except BaseException as error:
            answer = f"ESCAPED {error!r}"
        seconds = time.process_time() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(writer, f"{seconds} {(after - before) / 1024} {answer}".encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        told = answers.read()
    os.waitpid(process, 0)
    assert told, f"still at work after {PATIENCE} s"
    seconds, mebibytes, answer = told.split(" ", 2)
    assert float(seconds) < SECONDS
    assert float(mebibytes) < MEMORY
    return answer


def refusals(path: Path) -> str:
    """What both ways of reading say of a file, a line each; both must refuse it."""
    told = []
    for read in (read_pixels, read_label, lambda path: read_by_bands(path)):
        try:
            told.append(f"READ {read(path).shape}")
        except UserError as error:
            told.append(str(error).replace("\n", " NEW LINE "))
    return "\n".join(told)


def read_by_bands(path: Path) -> np.ndarray:
    bands = []
    for image in open_image_files(path):
        if isinstance(image, UserError):
            raise image
        bands.extend(image.read())
    return np.concatenate(bands)


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_by_name_soon_and_in_little_memory(name, tmp_path):
    content, says = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(content)
    for sentence in in_a_child(lambda: refusals(path)).split("\n"):
        lossy = re.search("a (JPEG|JPEG 2000|WebP) label", sentence)
        assert sentence.startswith(str(path)) or lossy
        assert says in sentence or lossy
        assert "ESCAPED" not in sentence


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


# --- orientation ----------------------------------------------------------------------------------


def oriented(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def exif_chunk(turn: int) -> bytes:
    return chunk(b"eXIf", oriented(turn).tobytes().removeprefix(b"Exif\0\0"))


ORIENTED = {
    "8-bit.png": lambda turn: saved("PNG", exif=oriented(turn)),
    "behind.png": lambda turn: png(behind=exif_chunk(turn)),
    "16-bit.png": lambda turn: saved("PNG", PIXELS.astype(np.uint16) * 257, exif=oriented(turn)),
    "lossless.tif": lambda turn: tiff(extratags=[(274, 3, 1, turn, True)]),
    "16-bit.tif": lambda turn: tiff(
        PIXELS.astype(np.uint16) * 257, extratags=[(274, 3, 1, turn, True)]
    ),
    "palette.tif": lambda turn: tiff(
        photometric="palette",
        colormap=np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1)),
        extratags=[(274, 3, 1, turn, True)],
    ),
}  # fmt: skip
# Where the first rows and columns of what is stored come to lie, by the standard.
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("limit", [100, 10**6], ids=["large", "small"])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", ORIENTED)
def test_an_orientation_is_obeyed_in_every_format_depth_and_size(
    name, turn, limit, tmp_path, monkeypatch
):
    monkeypatch.setattr(images, "WHOLE_PIXELS", limit)
    path = tmp_path / name
    path.write_bytes(ORIENTED[name](turn))
    for read in (read_pixels, read_by_bands):
        pixels = read(path)
        grey = pixels[..., 0] if pixels.ndim == 3 else pixels
        scale = 257 if pixels.dtype == np.uint16 else 1
        np.testing.assert_array_equal(grey, TURNS[turn](PIXELS).astype(grey.dtype) * scale)


# --- stacks, names and memory -------------------------------------------------------------------


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


def test_an_overview_of_a_page_is_no_page_of_a_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(PIXELS, metadata=None)
        writer.write(PIXELS[::2, ::2], subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.tif"), PIXELS)
    (image,) = open_image_files(tmp_path / "a.tif")
    assert (image.id, image.shape) == ("a", PIXELS.shape)


@pytest.mark.parametrize("stem", ["caf\udce9", "a\x1b[31mred", "a\rb", "a" * 247, "é" * 124])
def test_a_name_that_cannot_be_used_is_refused_in_printable_words(stem, tmp_path):
    path = tmp_path / f"{stem}.png"
    path.write_bytes(png())
    assert list_images(tmp_path) == [path]
    write_scan([str(path)], tmp_path / "record.csv")
    assert version_of([str(path)], tmp_path / "record.csv")
    with pytest.raises(UserError, match="rename") as refusal:
        open_image_files(path)
    str(refusal.value).encode()
    assert str(refusal.value).isprintable()


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


# --- mutations ------------------------------------------------------------------------------------

MUTATED = 1000


def seeds() -> dict[str, bytes]:
    """Small files of many layouts, whose decoders keep their own sums or none."""
    sixteen, colours = PIXELS.astype(np.uint16) * 257, np.dstack([PIXELS, PIXELS[::-1], PIXELS.T])
    found = {
        "grey.png": saved("PNG"),
        "colours.png": saved("PNG", colours),
        "16.png": saved("PNG", sixteen),
        "bit.png": saved("PNG", PIXELS > 99),
        "turned.png": saved("PNG", exif=oriented(6)),
        "grey.bmp": saved("BMP"),
        "colours.bmp": saved("BMP", colours),
        "grey.jpg": saved("JPEG"),
        "colours.jpg": saved("JPEG", colours),
        "stack.tif": stack(4),
    }
    for order in "<>":
        for name, pixels in (("grey", PIXELS), ("16", sixteen), ("colours", colours)):
            kind = {"byteorder": order, "photometric": "rgb" if pixels.ndim == 3 else "minisblack"}
            found |= {
                f"{name}{order}raw.tif": tiff(pixels, **kind),
                f"{name}{order}strips.tif": tiff(pixels, rowsperstrip=8, **kind),
                f"{name}{order}lzw.tif": tiff(pixels, compression="lzw", rowsperstrip=8, **kind),
                f"{name}{order}tiles.tif": tiff(pixels, compression="zlib", tile=(16, 32), **kind),
            }
    return found


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Flipped bits, another byte, a cut, foreign bytes in the middle or behind, a large number."""
    changed, place = bytearray(data), int(rng.integers(len(data)))
    match rng.integers(6):
        case 0:
            for at in rng.integers(len(data), size=rng.integers(1, 5)):
                changed[at] ^= 1 << int(rng.integers(8))
        case 1:
            changed[place] = int(rng.integers(256))
        case 2:
            del changed[place:]
        case 3:
            changed[place:place] = rng.bytes(int(rng.integers(1, 40)))
        case 4:
            changed += rng.bytes(int(rng.integers(1, 40)))
        case 5:
            number = int(rng.choice([0, 1, 255, 2**16, MOST, 2**32 - 1]))
            changed[place : place + 4] = struct.pack(rng.choice(["<I", ">I"]), number)
    return bytes(changed)


def other_libraries(data: bytes) -> list[np.ndarray]:
    """What Pillow and tifffile make of a file, each as grey or RGB."""
    found = []

    def by_pillow():
        with Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.exif_transpose(opened)
            return np.asarray(
                image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr") else image
            )

    def by_tifffile():
        with tifffile.TiffFile(io.BytesIO(data), is_ome=False) as opened:
            page = opened.pages.first
            pixels = page.asarray()
            pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
            return images.tiffs.turned(pixels, images.tiffs.orientation(page))

    for read in (by_pillow, by_tifffile):
        try:
            pixels = read()
        except Exception:
            continue
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        found += [pixels, np.iinfo(pixels.dtype).max - pixels] if pixels.dtype.kind == "u" else []
    return [as_read(pixels) for pixels in found]


def as_read(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[2:] in ((1,), (2,)):
        return pixels[..., 0]
    return pixels[..., :3] if pixels.ndim == 3 else pixels


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_mutated_image_is_refused_or_read_as_other_libraries_read_it(part, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(file_decoders, "BAND_PIXELS", 700)
    rng, files = np.random.default_rng(part), seeds()
    wrong = []
    for number in range(MUTATED // 4):
        name = str(rng.choice(sorted(files)))
        data = mutated(rng, files[name])
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(data)

        def check(path=path, data=data):
            whole, bands = None, None
            with contextlib.suppress(UserError):
                whole = read_pixels(path)
            with contextlib.suppress(UserError):
                bands = read_by_bands(path)
            if whole is None:
                return "refused"
            if bands is None or not np.array_equal(whole, bands):
                return "the ways differ"
            known = other_libraries(data)
            same = any(np.array_equal(whole, each) for each in known)
            return "same" if same or not known else "other pixels"

        answer = in_a_child(check)
        if answer not in ("refused", "same"):
            wrong.append((path.name, answer))
        else:
            path.unlink()
    assert wrong == []
