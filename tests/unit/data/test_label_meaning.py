"""Labels as microscopes, annotation tools and converters write them: taken right, or refused."""

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from maskmake.data.audit import Audit, audit_dataset
from maskmake.data.label_facts import label_facts
from maskmake.data.label_files import read_label
from maskmake.data.label_meaning import propose_foreground
from maskmake.data.labels import IGNORED
from maskmake.data.pixel_store import build_store
from maskmake.runtime.files import read_csv, write_csv

SIDE = 96
COUNT = 6


def discs(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    found = np.zeros((SIDE, SIDE), bool)
    for _ in range(5):
        row, column, radius = *rng.integers(0, SIDE, 2), rng.integers(5, 14)
        found |= (y - row) ** 2 + (x - column) ** 2 < radius**2
    return found


MASKS = [discs(seed) for seed in range(COUNT)]


@pytest.fixture(autouse=True)
def images(tmp_path, monkeypatch):
    """Images of noisy bright discs in the folder images of the working directory."""
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "labels"):
        Path(folder).mkdir()
    rng = np.random.default_rng(1)
    for number, mask in enumerate(MASKS):
        image = np.clip(70 + 90 * mask + rng.normal(0, 12, mask.shape), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(f"images/{number}.png")


def write(labels, **options) -> None:
    """Write labels as TIFF with options, or as PNG where there are none."""
    for number, label in enumerate(labels):
        if options or label.dtype not in (np.uint8, np.uint16):
            tifffile.imwrite(f"labels/{number}.tif", label, **options)
        else:
            Image.fromarray(label).save(f"labels/{number}.png")


def times(value: int, dtype=np.uint8) -> list[np.ndarray]:
    return [mask.astype(dtype) * dtype(value) for mask in MASKS]


def audit(**settings) -> Audit:
    return audit_dataset("images", "labels", **settings)


def stored(**settings) -> np.ndarray:
    """The labels that training gets, (N, H, W); the audit must have no fault."""
    found = audit(**settings)
    assert found.faults == []
    write_csv("manifest.csv", found.manifest)
    build_store(read_csv("manifest.csv"), "images.npy", "labels.npy", "index.csv")
    labels = np.load("labels.npy")
    shares = [(label == 1).sum() / (label != IGNORED).sum() for label in labels]
    np.testing.assert_allclose(shares, found.manifest["foreground"])
    ignored = (labels == IGNORED).mean(axis=(1, 2))
    np.testing.assert_allclose(ignored, found.manifest["ignored"])
    return labels


def only_fault(**settings) -> str:
    (fault,) = audit(**settings).faults
    return fault


# --- a third value ------------------------------------------------------------------------------


def with_void(value: int = 255) -> list[np.ndarray]:
    labels = times(1)
    for label in labels:
        label[ndimage.binary_dilation(label, iterations=2) & (label == 0)] = value
    return labels


def test_an_ignored_ring_around_objects_is_refused_and_the_objects_can_be_named():
    write(with_void())
    fault = only_fault()
    assert fault.startswith("labels/0.png: 3 values from 0 to 255; 6 labels together have 0 (")
    assert "expected two values, the higher one foreground; set dataset.foreground to" in fault
    assert "such as 1, or to nonzero for all but 0" in fault
    np.testing.assert_array_equal(stored(foreground=1), MASKS)


def test_an_area_without_data_is_refused():
    labels = times(1)
    for label in labels:
        label[:, :20] = 255
    write(labels, compression="zlib")
    assert "labels/0.tif: 3 values from 0 to 255" in only_fault()
    assert "such as 1, or" in only_fault()  # although 255 is more frequent
    assert "if 255 marks pixels to be ignored, set dataset.ignore to 255" in only_fault()
    # Even where objects are much rarer than the tolerance for blurred borders.
    for label in labels:
        label[:, 20:] = 0
        label[40:44, 40:44] = 1
    write(labels, compression="zlib")
    assert "labels/0.tif: 3 values from 0 to 255" in only_fault()


def test_the_one_label_with_another_value_is_named():
    labels = times(1)
    labels[3][:4, :4] = 255
    write(labels)
    assert only_fault().startswith("labels/3.png alone has the value 255, in 16 pixels; ")


def test_0_and_1_beside_0_and_255_is_refused_where_empty_labels_are_accepted():
    labels = times(1)
    labels[2] *= 255
    labels[5][:] = 0
    write(labels)
    assert only_fault(empty_labels="accept").startswith("labels/2.png alone has the value 255, in ")
    labels[5] = labels[5].astype(np.uint8)
    found = stored(empty_labels="accept", foreground="nonzero")
    np.testing.assert_array_equal(found[:5], MASKS[:5])
    assert not found[5].any()


def test_classes_are_refused_and_a_list_of_them_is_taken():
    labels = times(1)
    for label, mask in zip(labels, MASKS, strict=True):
        label[mask & (np.arange(SIDE) < 48)] = 2
        label[90:, 90:] = 3
    write(labels)
    assert "4 values from 0 to 3" in only_fault()
    np.testing.assert_array_equal(stored(foreground=[1, 2]), [np.isin(x, [1, 2]) for x in labels])
    assert only_fault(foreground=[1, 7]).startswith("dataset.foreground: no label has 7; found 0 (")


# --- stored values count ------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2], ids=["all", "half"])
def test_an_inverting_look_up_table_changes_nothing(every):
    write(times(255))
    for number in range(0, COUNT, every):
        Path(f"labels/{number}.png").unlink()
        label = times(255)[number]
        tifffile.imwrite(f"labels/{number}.tif", label, photometric="miniswhite")
    np.testing.assert_array_equal(stored(), MASKS)
    (warning,) = audit().warnings
    assert "viewers show 255 darker than 0" in warning
    assert "so 255 is foreground" in warning


def test_a_palette_counts_by_its_index():
    for number, mask in enumerate(MASKS):
        label = Image.fromarray(mask.astype(np.uint8))
        label.putpalette([0, 0, 0, 128, 0, 0])
        label.save(f"labels/{number}.png")
    np.testing.assert_array_equal(stored(), MASKS)
    assert audit().warnings == []


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.float32])
def test_any_type_with_whole_numbers_is_taken(dtype):
    write(times(1, dtype))
    np.testing.assert_array_equal(stored(), MASKS)


def test_the_higher_of_any_two_values_is_foreground():
    write([label + 1 for label in times(1)])
    np.testing.assert_array_equal(stored(), MASKS)


# --- two polarities, losses, colours, blur --------------------------------------------------------


def test_labels_of_two_polarities_are_refused_unless_the_value_is_given():
    write([np.where(mask ^ bool(i % 2), 255, 0).astype(np.uint8) for i, mask in enumerate(MASKS)])
    fault = only_fault()
    assert fault.startswith("two polarities: foreground is ")
    assert "labels/0.png and 2 more labels" in fault and "labels/1.png and 2 more labels" in fault
    assert fault.endswith("set dataset.foreground to 255.")
    assert stored(foreground=255).any()


@pytest.mark.parametrize("channels", [1, 2])
def test_two_polarities_are_told_where_pixels_are_near_the_end_of_float32(channels):
    """Sums of pixels and their squares are beyond float32; the contrast of an image was NaN."""
    write([np.where(mask ^ bool(i % 2), 255, 0).astype(np.uint8) for i, mask in enumerate(MASKS)])
    for path in Path("images").iterdir():
        pixels = np.asarray(Image.open(path)).astype(np.float32) * np.float32(1e36)
        path.unlink()
        pixels = np.dstack([pixels, pixels / 2])[..., :channels].squeeze()
        kind = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(path.with_suffix(".tif"), pixels, **kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found = audit()
    assert [fault.partition(":")[0] for fault in found.faults] == ["two polarities"]


def test_jpeg_in_a_tiff_is_refused_in_one_sentence():
    write(times(255))
    for number in (1, 4):
        Path(f"labels/{number}.png").unlink()
        tifffile.imwrite(f"labels/{number}.tif", times(255)[number], compression="jpeg")
    found = "labels/1.tif and 1 more file: a JPEG label inside a TIFF (JPEG); "
    assert only_fault().startswith(found)


def test_a_colour_is_refused_and_can_be_named():
    write([np.dstack([label, np.zeros_like(label), label // 2]) for label in times(200)])
    fault = only_fault()
    assert fault.startswith("labels/0.png and 5 more labels: a coloured label; found #000000 (")
    assert "such as '#c80064'" in fault
    for foreground in ("#c80064", "#C80064", ["#c80064"], "nonzero"):
        np.testing.assert_array_equal(stored(foreground=foreground), MASKS)


def blurred(sigma: float) -> list[np.ndarray]:
    return [np.round(255 * ndimage.gaussian_filter(mask * 1.0, sigma)) for mask in MASKS]


def red(mask: np.ndarray) -> np.ndarray:
    return np.dstack([mask.astype(np.uint8) * 255, *[np.zeros_like(mask, np.uint8)] * 2])


def jpeg(label: np.ndarray) -> np.ndarray:
    return imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(label, level=75))


def soft_red(mask: np.ndarray) -> np.ndarray:
    soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    return np.dstack([(255 * soft).astype(np.uint8), *[np.zeros_like(mask, np.uint8)] * 2])


def shades(**settings) -> list[str]:
    found = audit(**settings)
    assert found.faults == []
    return [warning for warning in found.warnings if " shades " in warning]


@pytest.mark.parametrize("damage", [lambda mask: jpeg(red(mask)), soft_red], ids=["JPEG", "blur"])
def test_shades_of_a_colour_that_is_foreground_are_named(damage):
    write([damage(mask) for mask in MASKS])
    (warning,) = shades(foreground="#fe0000")
    assert warning.startswith("labels/")
    assert "shades near #fe0000 are background, " in warning
    (warning,) = shades(foreground="nonzero")
    assert "shades near #000000 are foreground, " in warning
    assert propose_foreground(looks()) is None
    (fault,) = audit().faults
    assert "save the labels without loss or blur, or as black and white" in fault


def test_shades_of_a_grey_value_that_is_foreground_are_named():
    write([jpeg(label) for label in times(128)])
    (warning,) = shades(foreground=128)
    assert "shades near 128 are background, " in warning


def test_classes_are_no_shades():
    """Some forty numbers, or colours, of which each has an area."""
    numbers = [np.kron(np.arange(64).reshape(8, 8), np.ones((12, 12))) for _ in MASKS]
    write([label.astype(np.uint8) for label in numbers])
    assert shades(foreground=[20, 21]) == []
    assert shades(foreground="nonzero") == []
    colours = [label.astype(np.uint8)[..., None] * np.uint8([4, 1, 2]) for label in numbers]
    write(colours)
    assert shades(foreground=["#501428", "#54152a"]) == []
    write([red(mask) for mask in MASKS])
    assert shades(foreground="#ff0000") == []
    assert shades(foreground="nonzero") == []


def looks():
    return {
        path: label_facts(read_label(path), None)
        for path in (f"labels/{number}.png" for number in range(COUNT))
    }


def test_blurred_borders_are_cut_at_half_up_to_the_tolerance():
    labels = [label.astype(np.uint8) for label in blurred(0.8)]
    write(labels)
    np.testing.assert_array_equal(stored(tolerance=0.2), np.array(labels) > 127)
    fault = only_fault()
    assert "% of the pixels are neither background nor foreground (the most of 6" in fault
    assert "dataset.label_tolerance" in fault
    np.testing.assert_array_equal(stored(threshold=0.4, tolerance=1), np.array(labels) > 102)
    np.testing.assert_array_equal(stored(tolerance=1), np.array(labels) > 127)


# --- object numbers -------------------------------------------------------------------------------


def separated(labels: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether no two pixels of foreground that share a side belong to different objects."""
    kept = np.where(labels, numbers, 0).astype(np.int64)
    pairs = [(kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1])]
    return not any(((a != b) & (a > 0) & (b > 0)).any() for a, b in pairs)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_object_numbers_are_foreground_with_lines_between_objects_that_touch(dtype):
    y, x = np.mgrid[:SIDE, :SIDE] // 16
    labels = [((1 + 7 * (y * 6 + x)) * mask).astype(dtype) for mask in MASKS]
    write(labels)
    (warning,) = audit().warnings
    assert "are taken for object numbers" in warning
    for found, label in zip(stored(), labels, strict=True):
        assert separated(found, label)
        removed = (label > 0) & (found == 0)
        touching = ndimage.maximum_filter(label, 3) != ndimage.minimum_filter(
            np.where(label > 0, label, 2**15 if dtype != np.uint8 else 255), 3
        )
        assert not (removed & ~touching).any()
        # One pixel wide: no object loses both sides of a border.
        assert removed.sum() < 0.25 * (label > 0).sum()
        assert set(np.unique(label)) == set(np.unique(label[(found > 0) | (label == 0)]))


def test_colours_are_no_object_numbers():
    write([np.stack([mask * 255, mask * 40, mask * 0], axis=-1).astype(np.uint8) for mask in MASKS])
    (fault,) = audit(foreground="objects").faults
    assert "#ff2800" in fault
    assert "dataset.foreground" in fault


def test_object_numbers_that_are_cut_by_their_value_are_a_warning():
    y, x = np.mgrid[:SIDE, :SIDE]
    write([((1 + (y // 6) * 16 + x // 6) % 256 * mask).astype(np.uint8) for mask in MASKS])
    (warning,) = audit(tolerance=1).warnings
    assert "and 5 more labels: the values look like object numbers, and only those above" in warning
    assert "set dataset.foreground to objects" in warning


def test_many_small_objects_in_8_bits_are_taken():
    y, x = np.mgrid[:SIDE, :SIDE]
    numbers = (1 + (y // 6) * 16 + x // 6) % 256
    write([(numbers * mask).astype(np.uint8) for mask in MASKS])
    for found, mask in zip(stored(), MASKS, strict=True):
        assert separated(found, numbers * mask)
        assert found.sum() > 0.6 * mask.sum()


def test_a_ring_around_numbered_objects_is_refused():
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = (y % 16 < 10) & (x % 16 < 10)
    numbers = ((1 + (y // 16) * 6 + x // 16) * inside).astype(np.uint8)
    numbers[ndimage.binary_dilation(inside) & ~inside] = 255
    write([numbers] * COUNT)
    assert "37 more values" not in only_fault()
    assert "if they number objects, set dataset.foreground to objects" in only_fault()


def test_a_few_object_numbers_are_refused_unless_they_are_said_to_be_objects():
    numbers = np.zeros((SIDE, SIDE), np.uint8)
    for number, column in enumerate((10, 30, 50)):
        numbers[20:60, column : column + 20] = number + 1
    write([numbers] * COUNT)
    assert "if they number objects, set dataset.foreground to objects" in only_fault()
    assert all(separated(found, numbers) for found in stored(foreground="objects"))
    assert not separated(stored(foreground="nonzero")[0], numbers)


# --- ignored pixels -------------------------------------------------------------------------------

CORNER = np.s_[: SIDE // 2, : SIDE // 3]
EXPECTED = np.array(MASKS, np.uint8)
EXPECTED[:, *CORNER] = IGNORED


def with_corner(value: int) -> list[np.ndarray]:
    labels = times(1)
    for label in labels:
        label[CORNER] = value
    return labels


def test_a_value_is_ignored_where_that_is_set():
    write(with_corner(7))
    assert "3 values from 0 to 7" in only_fault()
    np.testing.assert_array_equal(stored(ignore=7), EXPECTED)
    np.testing.assert_array_equal(stored(ignore=[7]), EXPECTED)
    assert only_fault(ignore=[7, 9]).startswith("dataset.ignore: no label has 9 pixels")


@pytest.mark.parametrize("ignore", [[85, "#ff0000"], ["#ff0000", 85]])
def test_values_and_colours_may_be_ignored_together(ignore):
    """Grey labels beside coloured ones; 85 is the hexadecimal 55."""
    for number, label in enumerate(times(255)):
        if number % 2:
            label[CORNER] = 85
            Image.fromarray(label).save(f"labels/{number}.png")
        else:
            colours = np.dstack([label] * 3)
            colours[CORNER] = (255, 0, 0)
            Image.fromarray(colours).save(f"labels/{number}.png")
    np.testing.assert_array_equal(stored(ignore=ignore, foreground=["#ffffff"]), EXPECTED)


def test_no_data_of_a_geotiff_is_ignored_with_a_warning():
    write(with_corner(255), extratags=[(42113, 2, 0, "255", True)])
    np.testing.assert_array_equal(stored(), EXPECTED)
    (warning,) = audit().warnings
    assert "labels/0.tif and 5 more labels: the file says that 255 is no data; 16.7 %" in warning
    assert "3 values" in only_fault(ignore=[])


@pytest.mark.parametrize("told", ["nan", "-3.4028234663852886e+38", "inf", "0.5"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_data_that_is_no_whole_number_is_ignored(told, dtype):
    labels = times(1, dtype)
    for label in labels:
        label[CORNER] = dtype(float(told))
    write(labels, extratags=[(42113, 2, 0, told, True)])
    np.testing.assert_array_equal(stored(), EXPECTED)
    (warning,) = [text for text in audit().warnings if "no data" in text]
    assert f"labels: the file says that {float(told)} is no data; " in warning
    assert "3 values from -1 to 1" in only_fault(ignore=[])
    for label in labels:
        label[50, 50] = np.nan if told != "nan" else np.inf
    write(labels, extratags=[(42113, 2, 0, told, True)])
    assert "in row 50, column 50; expected whole numbers" in only_fault()


def test_no_data_that_leaves_one_value_is_asked_about():
    write(times(1), extratags=[(42113, 2, 0, "0", True)])
    assert only_fault().startswith("labels/0.tif and 5 more labels: the file says that 0 is no")
    np.testing.assert_array_equal(stored(ignore=[]), MASKS)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("colours", [1, 3])
def test_transparent_pixels_are_asked_about_or_ignored(suffix, colours):
    for number, label in enumerate(times(255)):
        alpha = np.full_like(label, 255)
        alpha[CORNER] = 0
        picture = Image.fromarray(np.dstack([*[label] * colours, alpha]))
        picture.save(f"labels/{number}{suffix}")
    assert only_fault().startswith(f"labels/0{suffix} and 5 more labels: pixels are transparent; ")
    np.testing.assert_array_equal(stored(ignore="transparent"), EXPECTED)
    np.testing.assert_array_equal(stored(ignore=[]), MASKS)


def test_labels_without_a_labelled_pixel_are_named():
    labels = with_corner(7)
    labels[2][:] = labels[4][:] = 7
    write(labels)
    assert only_fault(ignore=7).startswith(
        "labels/2.png and 1 more file: no pixel is labelled, all are ignored; "
    )


@pytest.mark.parametrize("seed", range(5))
def test_what_stands_under_ignored_pixels_changes_no_byte(seed):
    """Not the audit, but for the sums of the files, and not the pixel store."""
    rng = np.random.default_rng(seed)
    found = []
    for fill in (np.zeros, lambda shape: rng.integers(0, 256, shape)):
        for number, label in enumerate(times(255)):
            ignored = np.zeros(label.shape, bool)
            ignored[CORNER] = True
            label[ignored] = fill(ignored.sum())
            alpha = np.where(ignored, 0, 255).astype(np.uint8)
            Image.fromarray(np.dstack([label, alpha])).save(f"labels/{number}.png")
        stored(ignore="transparent")
        manifest = read_csv("manifest.csv").drop(columns="sha256_label")
        found.append((manifest.to_csv(), Path("labels.npy").read_bytes()))
    assert found[0] == found[1]


def test_an_ignored_object_number_makes_no_line():
    numbers = np.zeros((SIDE, SIDE), np.uint8)
    numbers[10:, 10:40], numbers[10:, 40:70] = 3, 200
    write([numbers] * COUNT)
    expected = np.where(numbers == 200, IGNORED, numbers == 3)
    np.testing.assert_array_equal(stored(foreground="objects", ignore=200)[0], expected)
