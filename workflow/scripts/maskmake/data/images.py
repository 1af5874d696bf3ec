"""Reading images, whole or band by band.

A large image is read in bands so that memory does not grow with its size. libvips reads PNG and
JPEG files this way, tifffile reads TIFF files of strips or tiles. Other kinds (BMP, GIF, WebP,
JPEG 2000, a TIFF with a palette, in other colours, planar or compressed in one piece) are decoded
whole, and so is every small image. The decoder itself holds a progressive JPEG, an interlaced PNG
and a photograph that has to be turned as a whole.

A file is checked by its header before (``file_checks``, ``tiff.check_page``), and no decoder is
asked for a format that is not among these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tifffile

from maskmake.data import file_decoders as decoders
from maskmake.data import tiff as tiffs
from maskmake.data.file_checks import check_memory, check_name, image_format
from maskmake.data.file_decoders import RawImage
from maskmake.data.image_samples import chosen_channels, finite, kept_type
from maskmake.data.tiff import TIFFFILE_PHOTOMETRICS, Page
from maskmake.data.tiff_stacks import Loaded, list_stack
from maskmake.runtime.errors import UserError, first_line

# Up to so many pixels, an image is handled whole.
WHOLE_PIXELS = 2**22


@dataclass(frozen=True, eq=False)
class ImageFile:
    """One image to be read: a file or an image of a stack.

    Attributes:
        id: name of its mask; image 7 of ``a.tif`` is ``a_0007``, counted from 0.
        path: of the file.
        page: number of the image in a stack; None for the only one of a file.
        shape: (H, W), or (H, W, C) for 2 to 16 channels.
        dtype: ``uint8``, ``uint16``, ``int16`` or ``float32``.
        file_dtype: type of the pixels in the file.
        turned: whether an entry of the file says that it is seen otherwise than it is stored; the
            pixels are those that are seen.
        notes: once pixels were read, ``transparent`` if alpha, which is left out, says of some
            that they are not opaque, and ``no data -9999`` if the file says that this value of
            some is no data.
        read: gives the pixels from the first row to the last as arrays of consecutive rows, as
            ``whole`` gives them all; raises what that raises.
    """

    id: str
    path: Path
    page: int | None
    shape: tuple[int, ...]
    dtype: np.dtype
    file_dtype: np.dtype
    turned: bool
    notes: set[str]
    read: Callable[[], Iterator[np.ndarray]]

    def whole(self) -> np.ndarray:
        """All pixels, of ``shape`` and ``dtype``.

        Raises:
            UserError: the file cannot be decoded, is larger than the memory, or has a value that is
                not finite.
        """
        with explain_decoding_errors(self.path, self.page):
            bytes_of_pixels = int(np.prod(self.shape)) * self.dtype.itemsize
            check_memory(self.shape[0], self.shape[1], bytes_of_pixels)
        pixels, row = np.empty(self.shape, self.dtype), 0
        for band in self.read():
            pixels[row : row + len(band)] = band
            row += len(band)
        return pixels


def open_image_files(
    path: Path,
    selection: Sequence[int] | None = None,
    name: str | None = None,
    taken: Mapping[str, str] = MappingProxyType({}),
) -> list[ImageFile | UserError]:
    """The image of a file, or those of a TIFF stack; one that cannot be read as its fault.

    Alpha is left out; a palette is resolved; an image is turned as its orientation entry says.

    Args:
        path: of the file.
        selection: which channels, counted from 1; None takes all but alpha.
        name: of its mask; that of the file if it is None.
        taken: paths of other images by the names of their masks, which no page may have.

    Raises:
        UserError: the file cannot be read, or a page would have the name of another image's mask.
    """
    name = name or path.stem
    check_name(path, name)
    with explain_decoding_errors(path):
        if (kind := image_format(path)) == "TIFF":
            return _open_tiff(path, name, selection, taken)
        raw = decoders.open_raw(path, kind)
        return [_image_file(name, path, None, raw, selection)]


def read_pixels(path: str | Path, page: int | None = None) -> np.ndarray:
    """Read the only image of a file, or one of a stack; see ``ImageFile.whole``.

    Args:
        path: of the file.
        page: number of the image in a TIFF stack, counted from 0; None: the file is one image.

    Raises:
        UserError: the file cannot be decoded, or is a stack.
    """
    images = open_image_files(Path(path))
    if page is None and len(images) > 1:
        raise stack_error(Path(path), images)
    image = images[page or 0]
    if isinstance(image, UserError):
        raise image
    return image.whole()


def stack_error(path: Path, images: Sequence[ImageFile | UserError]) -> UserError:
    """The error for a stack where one image is expected."""
    shapes = {image.shape for image in images if isinstance(image, ImageFile)}
    found = f"a stack of {len(images)} images; expected one image a file"
    if len(shapes) == 1:
        found += f", not {'x'.join(map(str, (len(images), *shapes.pop())))} pixels"
    return UserError(f"{path}: {found}; save each image of the stack as a file of its own.")


def _image_file(
    name: str, path: Path, page: int | None, raw: RawImage, selection: Sequence[int] | None
) -> ImageFile:
    """An image whose bands have the channels and the type that are kept."""
    height, width, samples = raw.shape
    chosen = chosen_channels(samples, raw.alpha, selection)
    shape = (height, width) if len(chosen) == 1 else (height, width, len(chosen))
    notes: set[str] = set()
    drops_alpha = raw.alpha and samples - 1 not in chosen
    no_data = _in_type(raw.no_data, raw.dtype)

    def read() -> Iterator[np.ndarray]:
        rows = 0
        with explain_decoding_errors(path, page):
            for band in raw.bands():
                if band.shape[1:] != raw.shape[1:] or band.dtype != raw.dtype:
                    raise ValueError("its pixels are not those of its header")
                if drops_alpha and (band[..., -1] < opaque(band.dtype)).any():
                    notes.add("transparent")
                if no_data is not None and (band[..., chosen] == no_data).any():
                    notes.add(f"no data {no_data:g}")
                yield _kept(band, chosen, rows).reshape(len(band), *shape[1:])
                rows += len(band)
            if rows != height:
                raise EOFError(f"ends after {rows} of {height} rows")

    dtype = kept_type(raw.dtype)
    return ImageFile(name, path, page, shape, dtype, raw.dtype, raw.turned, notes, read)


def opaque(dtype: np.dtype) -> int | float:
    """The value of alpha where a pixel is opaque."""
    return np.iinfo(dtype).max if dtype.kind in "iu" else 1


def _in_type(value: float | None, dtype: np.dtype) -> np.generic | None:
    """A value as a pixel type has it; None if it cannot have it."""
    if value is None or (dtype.kind != "f" and not value.is_integer()):
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    return dtype.type(value) if limits and limits.min <= value <= limits.max else None


def _kept(band: np.ndarray, chosen: list[int], first_row: int) -> np.ndarray:
    if chosen != list(range(band.shape[2])):
        band = band[..., chosen]
    if band.dtype.kind == "f":
        return finite(band, first_row)
    return band.astype(kept_type(band.dtype), copy=False)


# --- TIFF -------------------------------------------------------------------------------------


def _open_tiff(
    path: Path, name: str, selection: Sequence[int] | None, taken: Mapping[str, str]
) -> list[ImageFile | UserError]:
    with tiffs.open_tiff(path) as tiff:
        stack = list_stack(tiff)
        found = [_open_planes(path, tiff, planes) for planes in stack]
    if len(found) == 1:
        return [_page_file(name, path, None, found[0], selection)]
    names = [f"{name}_{page:04d}" for page in range(len(found))]
    check_name(path, names[-1])
    if clash := next((name for name in names if name in taken), None):
        raise UserError(
            f"{path}: the mask of a page would be {clash}.png, as that of {taken[clash]}; expected "
            "different names; rename one of the files."
        )
    pages = enumerate(zip(names, found, strict=True))
    return [_page_or_fault(name, path, page, raw, selection) for page, (name, raw) in pages]


def _page_file(
    name: str,
    path: Path,
    page: int | None,
    raw: RawImage | Exception,
    selection: Sequence[int] | None,
) -> ImageFile:
    with explain_decoding_errors(path, page):
        if isinstance(raw, Exception):
            raise raw
        return _image_file(name, path, page, raw, selection)


def _page_or_fault(
    name: str,
    path: Path,
    page: int,
    raw: RawImage | Exception,
    selection: Sequence[int] | None,
) -> ImageFile | UserError:
    try:
        return _page_file(name, path, page, raw, selection)
    except UserError as error:
        return error


def _open_planes(path: Path, tiff: tifffile.TiffFile, planes: list[Loaded]) -> RawImage | Exception:
    """An image of a page, or of one for each channel; or what is wrong with it."""
    try:
        raws = [_open_page(path, tiff, *plane) for plane in planes]
        if len(raws) == 1:
            return raws[0]
        return _joined(raws)
    except Exception as error:  # as in ``explain_decoding_errors``
        return error


def _open_page(
    path: Path, tiff: tifffile.TiffFile, place: Page, page: tifffile.TiffPage
) -> RawImage:
    shape = tiffs.seen_shape(page)
    by_bands = tiffs.can_read_bands(page) and shape[0] * shape[1] > WHOLE_PIXELS
    tiffs.check_page(tiff, page, whole=not by_bands)
    turned, alpha = tiffs.orientation(page) != 1, tiffs.has_alpha(page)
    if by_bands:

        def bands() -> Iterator[np.ndarray]:
            for band in tiffs.read_bands(path, place, decoders.BAND_PIXELS):
                yield band.reshape(*band.shape[:2], shape[2])

        return RawImage(shape, page.dtype, alpha, turned, bands, tiffs.no_data(page))
    plain = page.photometric in tiffs.PLAIN_COLOURS
    dtype = page.dtype if plain else np.dtype(np.uint8)
    no_data = tiffs.no_data(page) if plain else None
    return RawImage(shape, dtype, alpha, turned, lambda: iter([_read_page(path, place)]), no_data)


def _joined(raws: list[RawImage]) -> RawImage:
    """An image of several channels, each of which is a page of one sample."""
    kinds = {(raw.shape, raw.dtype) for raw in raws}
    if len(kinds) > 1 or raws[0].shape[2] != 1:
        raise UserError(
            f"{len(raws)} pages are the channels of an image, but differ in size or type or have "
            "channels themselves; expected pages of one kind; save the file again."
        )
    shape = (*raws[0].shape[:2], len(raws))

    def bands() -> Iterator[np.ndarray]:
        for planes in zip(*(raw.bands() for raw in raws), strict=True):
            yield np.concatenate(planes, axis=2)

    turned = any(raw.turned for raw in raws)
    return RawImage(shape, raws[0].dtype, False, turned, bands, raws[0].no_data)


def _read_page(path: Path, place: Page) -> np.ndarray:
    with tiffs.open_tiff(path) as tiff:
        page = tiffs.load_page(tiff, place)
        tiffs.check_page(tiff, page, whole=True)
        if page.photometric in TIFFFILE_PHOTOMETRICS:
            pixels = tiffs.read_page(page)
            return pixels[:, :, None] if pixels.ndim == 2 else pixels
    return decoders.read_by_pillow(path, "TIFF", place.index)


# --- errors -----------------------------------------------------------------------------------


@contextmanager
def explain_decoding_errors(path: Path, page: int | None = None) -> Iterator[None]:
    """Turn what decoders say of a file into a user's sentence."""
    name = path if page is None else f"{path}, page {page}"
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except UserError as error:
        known = str(error).startswith(str(path))
        raise error if known else UserError(f"{name}: {error}") from None
    except Exception as error:  # decoders raise errors of many kinds on a damaged file
        raise UserError(
            f"{name}: cannot be decoded ({_detail(error)}); expected a whole PNG, TIFF, "
            "JPEG, JPEG 2000, WebP, GIF or BMP; replace or remove the file."
        ) from error


def _detail(error: Exception) -> str:
    # The message of libvips's errors is always the same, the detail says what was found.
    return first_line(error.detail if isinstance(error, decoders.LibvipsError) else error)
