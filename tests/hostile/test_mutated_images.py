"""Images that are changed at random: each is refused, or read as other libraries read it."""

import contextlib
import io
import struct

import numpy as np
import pytest
import tifffile
from bounded import in_a_child
from image_bytes import MOST, PIXELS, oriented, read_by_bands, saved, stack, tiff
from PIL import Image, ImageOps

from maskmake.data import file_decoders, images
from maskmake.data.images import read_pixels
from maskmake.runtime.errors import UserError

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
