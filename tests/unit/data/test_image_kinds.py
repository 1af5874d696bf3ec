"""Every format, type and layout gives audit, store and prediction the same pixels."""

import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from maskmake.data.audit import audit_dataset
from maskmake.data.images import open_image_files
from maskmake.data.pixel_store import build_store, open_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_csv

HEIGHT, WIDTH = 40, 50
GREY = np.add.outer(np.arange(HEIGHT), 4 * np.arange(WIDTH)).astype(np.uint8)
COLOURS = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
TWO = np.dstack([np.full_like(GREY, 30), GREY])


def pillow(pixels, **options):
    return lambda path: Image.fromarray(pixels).save(path, **options)


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def overviews(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY, tile=(16, 16), metadata=None)
        writer.write(GREY[::2, ::2], subfiletype=1, metadata=None)
        writer.write(GREY > 9, subfiletype=4, metadata=None)


def text(path):
    info = PngInfo()
    info.add_text("Description", "metadata " * 350_000, zip=True)
    Image.fromarray(GREY).save(path, pnginfo=info)


# How a file is written, and its pixels as they are kept.
KINDS = {
    "grey.png": (pillow(GREY), GREY),
    "text.png": (text, GREY),
    "grey.gif": (pillow(GREY), GREY),
    "colour.webp": (pillow(COLOURS, lossless=True), COLOURS),
    "grey.jp2": (pillow(GREY), GREY),
    "deep.jp2": (
        lambda path: path.write_bytes(
            imagecodecs.jpeg2k_encode(COLOURS.astype(np.uint16) * 16, codecformat="jp2", level=0)
        ),
        COLOURS.astype(np.uint16) * 16,
    ),
    "colours.png": (pillow(np.dstack([GREY] * 3)), GREY),
    "opaque.png": (pillow(np.dstack([*[GREY] * 3, np.full_like(GREY, 255)])), GREY),
    "alpha.png": (pillow(np.dstack([GREY, np.full_like(GREY, 255)])), GREY),
    "palette.png": (lambda path: Image.fromarray(GREY).convert("P").save(path), GREY),
    "overviews.tif": (overviews, GREY),
    "big.tif": (tiff(GREY, bigtiff=True), GREY),
    "signed.tif": (tiff(GREY.astype(np.int8)), GREY.astype(np.int8).astype(np.int16)),
    "signed16.tif": (tiff(GREY.astype(np.int16) * -9), GREY.astype(np.int16) * -9),
    "int32.tif": (tiff(GREY.astype(np.int32) - 70), (GREY.astype(np.float32) - 70)),
    "uint32.tif": (tiff(GREY.astype(np.uint32) * 99), GREY.astype(np.float32) * 99),
    "half.tif": (tiff(GREY.astype(np.float16)), GREY.astype(np.float32)),
    "float.tif": (tiff(GREY / np.float32(255)), GREY / np.float32(255)),
    "double.tif": (tiff(GREY / 255, compression="zlib"), (GREY / 255).astype(np.float32)),
    "two.tif": (tiff(TWO, photometric="minisblack", planarconfig="contig"), TWO),
    "planar.tif": (
        tiff(np.moveaxis(TWO, -1, 0), photometric="minisblack", planarconfig="separate"),
        TWO,
    ),
    "imagej.tif": (
        tiff(np.moveaxis(TWO, -1, 0), imagej=True, metadata={"axes": "CYX"}),
        TWO,
    ),
    "ome.tif": (tiff(np.moveaxis(TWO, -1, 0), ome=True, metadata={"axes": "CYX"}), TWO),
    "shaped.tif": (
        tiff(np.moveaxis(TWO, -1, 0), photometric="minisblack", metadata={"axes": "CYX"}),
        TWO,
    ),
    "infrared.tif": (
        tiff(np.dstack([COLOURS, GREY]), photometric="rgb", extrasamples=["unspecified"]),
        np.dstack([COLOURS, GREY]),
    ),
}


def dataset(*images):
    """Folders images and labels of pairs, where each image is (name, writer)."""
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    label = (GREY > 99).astype(np.uint8) * 255
    for name, write in images:
        write(Path("images", name))
        Image.fromarray(label).save(Path("labels", name).with_suffix(".png"))


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def stored(manifest, **settings):
    build_store(manifest, "images.npy", "labels.npy", "index.csv", **settings)
    return open_images("images.npy", read_csv("index.csv"))


@pytest.mark.parametrize("name", KINDS)
def test_audit_store_and_prediction_read_the_same_pixels(name):
    write, expected = KINDS[name]
    suffix = Path(name).suffix
    dataset(*[(f"{number}{suffix}", write) for number in range(3)])
    audit = audit_dataset("images", "labels")
    assert audit.faults == []
    row = audit.manifest.iloc[0]
    channels = 1 if expected.ndim == 2 else expected.shape[2]
    assert (row["height"], row["width"], row["channels"]) == (HEIGHT, WIDTH, channels)
    assert (row["minimum"], row["maximum"]) == (expected.min(), expected.max())
    kept = stored(audit.manifest)["0"]
    assert kept.dtype == expected.dtype
    np.testing.assert_array_equal(kept, expected)
    (image,) = open_image_files(Path(f"images/0{suffix}"))
    assert (image.id, image.dtype) == ("0", expected.dtype)
    for_prediction = np.concatenate(list(image.read()))
    if expected.ndim == 2 and for_prediction.ndim == 3:
        expected = np.dstack([expected] * 3)  # grey saved as colours, told when it was read
    np.testing.assert_array_equal(for_prediction, expected)


def test_channels_are_selected_and_a_file_without_them_is_named():
    dataset(*[(f"{n}.tif", KINDS["two.tif"][0]) for n in range(3)])
    warning, _ = audit_dataset("images", "labels").warnings  # and that they are copies
    assert warning.startswith("3 images (such as images/0.tif) have 2 channels, all of which")
    audit = audit_dataset("images", "labels", channels=[2])
    assert audit.faults == []
    assert "channels" not in "".join(audit.warnings)
    np.testing.assert_array_equal(stored(audit.manifest, selection=[2])["0"], GREY)
    (fault,) = audit_dataset("images", "labels", channels=[3]).faults
    assert "2 channels, but dataset.channels selects channel 3" in fault


def test_other_numbers_of_channels_are_a_fault():
    kinds = [("0.tif", "two.tif"), ("1.png", "grey.png"), ("2.png", "grey.png")]
    dataset(*[(name, KINDS[kind][0]) for name, kind in kinds])
    (fault,) = audit_dataset("images", "labels").faults
    assert "different numbers of channels: 2 with 1" in fault and "dataset.channels" in fault


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_with_its_place(value):
    pixels = GREY.astype(np.float32)
    pixels[3, 7] = value
    dataset(*[(f"{n}.tif", tiff(pixels if n == 1 else np.float32(GREY))) for n in range(3)])
    (fault,) = audit_dataset("images", "labels").faults
    assert fault.startswith(f"images/1.tif: the value {value} in row 3, column 7; expected finite")


def test_colours_that_nobody_converts_are_refused():
    Image.frombytes("LAB", (WIDTH, HEIGHT), COLOURS.tobytes()).save("a.tif")
    with pytest.raises(UserError, match=r"a\.tif: colours as CIELAB; expected grey, RGB or CMYK"):
        open_image_files(Path("a.tif"))[0].whole()


def only_warning(**options) -> str:
    dataset(*[(f"{number}.tif", tiff(**options)) for number in range(3)])
    found = audit_dataset("images", "labels")
    assert found.faults == []
    (warning,) = [text for text in found.warnings if "copies of one image" not in text]
    return warning


@pytest.mark.parametrize(
    ("dtype", "told", "shown"),
    [
        (np.float32, "-3.4028234663852886e+38", "-3.40282e+38"),
        (np.float64, "-9999", "-9999"),
        (np.int16, "-32768 ", "-32768"),
        (np.uint16, "65535", "65535"),
    ],
)
def test_pixels_without_data_are_a_warning(dtype, told, shown, recwarn):
    pixels = GREY.astype(dtype)
    pixels[:5] = dtype(float(told))
    warning = only_warning(pixels=pixels, extratags=[(42113, 2, 0, told, True)])
    assert warning.startswith("3 images (such as images/0.tif) have pixels of which the file says ")
    assert f"that their value, {shown}, is no data" in warning
    assert not recwarn.list


@pytest.mark.parametrize("told", ["-1", "0.5", "1e300", "nan", "none"])
def test_a_value_without_data_that_no_pixel_has_is_no_warning(told):
    dataset(
        *[
            (f"{n}.tif", tiff(GREY + np.uint8(n), extratags=[(42113, 2, 0, told, True)]))
            for n in range(1, 4)
        ]
    )
    found = audit_dataset("images", "labels")
    assert (found.faults, [text for text in found.warnings if "no data" in text]) == ([], [])


def test_a_band_that_is_said_to_be_alpha_can_be_named():
    pixels = np.dstack([COLOURS, GREY])
    warning = only_warning(pixels=pixels, photometric="rgb", extrasamples=["unassalpha"])
    assert "alpha is left out; if it is a band like infrared, name all channels in" in warning


@pytest.mark.parametrize(
    ("of_images", "of_labels", "sentence"),
    [
        ("CYX", "ZYX", "a stack of 5 images, but images/0.tif has 1 image of 5 channels"),
        ("ZYX", "CYX", "1 image of 5 channels, but images/0.tif has a stack of 5 images"),
    ],
)
def test_slices_that_are_said_to_be_channels_are_named(of_images, of_labels, sentence):
    for folder, axes in (("images", of_images), ("labels", of_labels)):
        Path(folder).mkdir()
        for number in range(3):
            stack = np.stack([GREY] * 5)
            tifffile.imwrite(f"{folder}/{number}.tif", stack, imagej=True, metadata={"axes": axes})
    fault = audit_dataset("images", "labels").faults[0]
    assert fault.startswith(f"labels/0.tif: {sentence}; expected a label for each image; save the ")
    assert fault.endswith("channels as slices, in Fiji by Image > Properties.")


def test_ranges_are_not_guessed():
    deep = GREY.astype(np.uint16) * 16
    dataset(*[(f"{n}.png", pillow(deep if n % 2 else GREY)) for n in range(4)])
    (fault,) = audit_dataset("images", "labels").faults
    assert "2 of uint16 (such as images/1.png, together 0 to 3760)" in fault
    assert "dataset.range" in fault and "train.normalization to image" in fault
    audit = audit_dataset("images", "labels", value_range=4095)
    assert audit.faults == []
    np.testing.assert_allclose(stored(audit.manifest, value_range=4095)["0"], GREY * 16.06, atol=1)
    assert audit_dataset("images", "labels", image_normalization=True).faults == []
    (fault,) = audit_dataset("images", "labels", value_range=3000).faults
    assert fault.startswith("images/1.png: the value 3760; expected at most 3000")


def test_eight_bits_within_files_of_sixteen_are_noticed():
    """Twelve bits and eight in files of one type: nothing but the values tells them apart."""
    wide = [np.roll(GREY.astype(np.uint16) * 16, 3 * n, axis=1) for n in range(6)]
    narrow = [image // 16 for image in wide]

    def warnings(images, **settings):
        for folder in ("images", "labels"):
            shutil.rmtree(folder, ignore_errors=True)
        dataset(*[(f"{n}.png", pillow(pixels)) for n, pixels in enumerate(images)])
        audit = audit_dataset("images", "labels", **settings)
        return [text.partition(";")[0] for text in audit.warnings if "one scale" in text]

    ending = "no value above 255, and the others go to 3760"
    assert warnings([*wide[:5], narrow[5]]) == [f"images/5.png of 16 bits has {ending}"]
    (told,) = warnings([*narrow[:5], wide[5]])  # where they are the most
    assert told == f"5 images (such as images/0.png) of 16 bits have {ending}"
    assert warnings([*wide[:5], narrow[5]], image_normalization=True) == []
    assert warnings([*wide[:5], narrow[5] // 2]) == []  # dim, which says nothing of its type
    assert warnings(narrow) == []


def test_images_that_are_turned_are_counted_in_a_warning():
    exif = Image.Exif()
    exif[0x0112] = 3
    dataset(*[(f"{n}.png", pillow(GREY, exif=exif)) for n in range(3)])
    warning, _ = audit_dataset("images", "labels").warnings  # and that they are copies
    assert warning.startswith("3 images (such as images/0.png) carry an orientation entry")


# --- stacks -----------------------------------------------------------------------------------

VOLUME = np.stack([np.roll(GREY, 5 * number, axis=1) for number in range(4)])
STACKS = {
    "plain": {"photometric": "minisblack"},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
}


def write_stacks(options, labels="train-labels", pages=4):
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    tifffile.imwrite("images/train-volume.tif", VOLUME, **options)
    masks = (VOLUME[:pages] > 99).astype(np.uint8) * 255
    tifffile.imwrite(f"labels/{labels}.tif", masks, photometric="minisblack")


@pytest.mark.parametrize("kind", STACKS)
def test_a_stack_is_as_many_images(kind):
    write_stacks(STACKS[kind])
    audit = audit_dataset("images", "labels")
    assert audit.faults == []
    names = [f"train-volume_{number:04d}" for number in range(4)]
    assert audit.manifest["id"].tolist() == names
    assert set(audit.manifest["image"]) == {"images/train-volume.tif"}
    store = stored(audit.manifest)
    for number, name in enumerate(names):
        np.testing.assert_array_equal(store[name], VOLUME[number])
    opened = open_image_files(Path("images/train-volume.tif"))
    assert [image.id for image in opened] == names


def test_a_stack_of_other_length_than_its_labels_is_a_fault():
    write_stacks(STACKS["plain"], pages=3)
    (fault,) = audit_dataset("images", "labels").faults
    assert "a stack of 3 images, but images/train-volume.tif has a stack of 4 images" in fault


def large_imagej(path, count):
    """As ImageJ writes a large stack: the tags of one image, and all pixels behind each other."""
    description = f"ImageJ=1.53\nimages={count}\nslices={count}\n"
    tifffile.imwrite(path, VOLUME[0], description=description, metadata=None)
    with Path(path).open("ab") as file:
        file.write(VOLUME[1:].tobytes())


def test_a_large_imagej_stack_with_one_list_of_tags_is_read():
    large_imagej("a.tif", 4)
    images = open_image_files(Path("a.tif"))
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image.whole(), VOLUME[number])
    assert len(images) == 4
    large_imagej("a.tif", 9)
    with pytest.raises(UserError, match=r"a stack of 9 images .* of which 4 are there"):
        open_image_files(Path("a.tif"))


def test_a_volume_with_channels_has_an_image_for_each_slice():
    pixels = np.stack([VOLUME, 255 - VOLUME], axis=1)  # Z, C
    tifffile.imwrite("a.tif", pixels, imagej=True, metadata={"axes": "ZCYX"})
    tifffile.imwrite("b.ome.tif", np.moveaxis(pixels, 1, 0), metadata={"axes": "CZYX"})
    for name in ("a.tif", "b.ome.tif"):
        images = open_image_files(Path(name))
        assert [image.shape for image in images] == [(HEIGHT, WIDTH, 2)] * 4
        np.testing.assert_array_equal(images[2].whole(), np.moveaxis(pixels[2], 0, -1))


def test_planes_of_an_ome_set_in_several_files_are_images_of_their_own():
    planes = "".join(
        f'<TiffData FirstT="{n}" IFD="0"><UUID FileName="{n}.tif">urn:uuid:{n}</UUID></TiffData>'
        for n in range(4)
    )
    document = (
        '<?xml version="1.0"?><OME><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" SizeX="50" '
        f'SizeY="40" SizeZ="1" SizeC="1" SizeT="4">{planes}</Pixels></Image></OME>'
    )
    for number in range(4):
        tifffile.imwrite(f"{number}.tif", VOLUME[number], description=document, metadata=None)
    (image,) = open_image_files(Path("2.tif"))
    np.testing.assert_array_equal(image.whole(), VOLUME[2])


def test_copies_are_looked_for_among_files_and_not_among_pages():
    write_stacks(STACKS["plain"])
    assert audit_dataset("images", "labels").warnings == []
