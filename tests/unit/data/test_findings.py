"""Planted pairs that look wrong beside the others: each is found at its level, and named."""

import re
import weakref
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskmake.data.audit import Audit, audit_dataset, write_page
from maskmake.data.findings import parts_of
from maskmake.data.folded import files_of
from maskmake.data.label_fit import EdgeMaps, FitSearch, edge_maps
from maskmake.data.pair_facts import count_small_objects
from maskmake.runtime.processes import map_in_order

SIDE, COUNT = 96, 10
# Without it no program opens a picture that was saved from the page; nothing is asked for there.
NAMESPACE = r"http(://|%3A//|%3A%2F%2F)www\.w3\.org(/|%2F)2000(/|%2F)svg"


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy image of bright discs, and its label."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(5):
        y, x, radius = *rng.integers(12, SIDE - 12, 2), rng.integers(6, 12)
        mask |= (down - y) ** 2 + (right - x) ** 2 < radius**2
    image = 70 + 90 * mask + rng.normal(0, 12, mask.shape)
    return image.clip(0, 254).astype(np.uint8), mask * np.uint8(255)


def save(kind: str, number: int, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(f"{kind}/{number}.png")


@pytest.fixture
def discs(tmp_path, monkeypatch):
    """Ten right pairs."""
    monkeypatch.chdir(tmp_path)
    for kind in ("images", "labels"):
        Path(kind).mkdir()
    for number in range(COUNT):
        image, label = pair(number)
        save("images", number, image)
        save("labels", number, label)
    return tmp_path


def audit(**settings) -> Audit:
    return audit_dataset("images", "labels", **settings)


def constant():
    save("images", 3, np.full((SIDE, SIDE), 80, np.uint8))


def all_constant():
    for number in range(COUNT):
        save("images", number, np.full((SIDE, SIDE), 80 + number, np.uint8))


def saturated():
    image, _ = pair(3)
    image[:40] = 255
    save("images", 3, image)


def one_value_nearly():
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[40, 40:60] = 99
    save("images", 3, image)


def no_contrast():
    save("images", 3, (100 + pair(3)[0] // 128).astype(np.uint8))


def large_share():
    label = np.full((SIDE, SIDE), 255, np.uint8)
    label[:3, :3] = 0
    save("labels", 3, label)


def specks():
    label = pair(3)[1]
    label[:12] = 0
    label[1, 1] = label[5, 5:8] = label[9, 9:11] = 255
    save("labels", 3, label)


def exchanged():
    image, label = pair(3)
    save("images", 3, label)
    save("labels", 3, image)


def folders_exchanged():
    Path("images").rename("other")
    Path("labels").rename("images")
    Path("other").rename("labels")


def shifted():
    for number in range(COUNT):
        save("labels", number, pair((number + 1) % COUNT)[1])


def two_exchanged():
    save("labels", 3, pair(7)[1])
    save("labels", 7, pair(3)[1])


PLANTED = [
    (constant, "fault", "images/3.png: every pixel has one value (80);"),
    (all_constant, "fault", "images/0.png and 9 more images: every pixel has one value (80);"),
    (saturated, "warning", "images/3.png: 41.7 % of the pixels have the highest value"),
    (one_value_nearly, "warning", "images/3.png: 99.78 % of the pixels have one value"),
    (no_contrast, "warning", "images/3.png: nearly no contrast, 99 % of the values lie within 1,"),
    (large_share, "warning", "labels/3.png: foreground is 99.9 % of the pixels"),
    (specks, "warning", "labels/3.png: 3 objects below 4 pixels;"),
    (exchanged, "fault", "images/3.png: at most 2 values, as in a label, and its label labels/3"),
    (folders_exchanged, "fault", "images/0.png: at most 2 values, as in a label"),
    (shifted, "warning", "and so for 9 more images; expected each label to fit its own image"),
    (two_exchanged, "warning", "images/3.png: labels/7.png fits it better than its own label"),
]


def test_nothing_is_found_in_right_pairs(discs):
    result = audit()
    assert (result.faults, result.warnings, result.findings) == ([], [], [])


@pytest.mark.parametrize(("plant", "level", "words"), PLANTED, ids=[p[0].__name__ for p in PLANTED])
def test_what_is_planted_is_found_at_its_level(plant, level, words, discs):
    plant()
    result = audit()
    found = {"fault": result.faults, "warning": result.warnings}[level]
    assert sum(words in sentence for sentence in found) == 1, result
    (finding,) = (one for one in result.findings if words in one.sentence)
    assert finding.level == level
    if "3.png" in words:
        assert finding.ids[0] == "3"
    if level == "warning":
        assert result.faults == []


@pytest.mark.parametrize(
    ("highest", "faults"), [(0, ["images/3.png: every pixel has one value (0)"]), (255, [])]
)
def test_object_numbers_beside_an_image_of_at_most_two_values_are_no_image(highest, faults, discs):
    places = np.arange(SIDE) // 8
    numbers = (places[:, None] * 12 + places + 1) * (np.arange(SIDE) % 8 < 6)
    numbers[np.arange(SIDE) % 8 > 5] = 0
    for number in range(COUNT):
        save("labels", number, numbers.astype(np.uint8))
    save("images", 3, pair(3)[1] & np.uint8(highest))
    assert [found.partition(";")[0] for found in audit().faults] == faults


def test_an_exchanged_pair_is_its_only_fault(discs):
    exchanged()
    assert len(audit().faults) == 1


def test_a_constant_image_without_objects_is_a_warning_where_empty_labels_are_accepted(discs):
    constant()
    save("labels", 3, np.zeros((SIDE, SIDE), np.uint8))
    result = audit(empty_labels="accept")
    assert result.faults == []
    assert any("images/3.png: every pixel has one value" in text for text in result.warnings)


def test_a_dark_image_and_a_large_one_are_notes(discs):
    save("images", 3, pair(3)[0] // 8)
    for kind, pixels in zip(("images", "labels"), pair(5), strict=True):
        save(kind, 5, np.tile(pixels, (2, 2)))
    result = audit()
    notes = [finding.sentence for finding in result.findings if finding.level == "note"]
    assert [note.split(":")[0] for note in notes] == ["images/5.png", "images/3.png"]
    assert result.faults == result.warnings == []


@pytest.fixture
def stack(discs):
    """The right pairs as the pages of a stack of images and of one of labels."""
    for kind, part in (("images", 0), ("labels", 1)):
        for path in Path(kind).iterdir():
            path.unlink()
        save_stack(kind, [pair(number)[part] for number in range(COUNT)])


def save_stack(kind: str, pages: list[np.ndarray]) -> None:
    tifffile.imwrite(f"{kind}/s.tif", np.stack(pages), photometric="minisblack")


def test_the_page_of_a_stack_is_named(stack):
    images = [pair(number)[0] for number in range(COUNT)]
    images[3][:] = images[5][:] = 7
    save_stack("images", images)
    (fault,) = audit().faults
    assert fault.startswith("images/s.tif, page 3 and 1 more image: every pixel has one value (7)")
    assert files_of(fault) == ("images/s.tif, page 3", "images/s.tif, page 5")


def test_the_pages_of_a_label_that_fits_another_image_are_named(stack):
    save_stack("labels", [pair((number + 1) % COUNT)[1] for number in range(COUNT)])
    (warning,) = audit().warnings
    image, label = re.findall(r"(?:images|labels)/s\.tif, page (\d)", warning)
    assert (int(image) - 1) % COUNT == int(label)


def test_the_page_whose_label_is_wrong_is_shown_first(stack):
    labels = [pair(number)[1] for number in range(COUNT)]
    labels[2][:] = 0
    save_stack("labels", labels)
    result = audit()
    assert result.faults[0].startswith("labels/s.tif, page 2: every pixel is background")
    shown = [picture.id for picture in result.pictures if picture.level]
    assert shown == ["s_0002"]


def test_a_label_of_several_files_that_fits_another_image_is_named_by_the_first(discs):
    for number in range(COUNT):
        label, y = pair((number + 1) % COUNT)[1], np.arange(SIDE)[:, None]
        Path(f"labels/{number}.png").unlink()
        for half, rows in (("a", y < SIDE // 2), ("b", y >= SIDE // 2)):
            folder = Path(f"masks/{number}")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(label * rows).save(folder / f"{half}.png")
    (warning,) = audit_dataset("images", "masks/*/*.png").warnings
    assert re.match(r"images/\d\.png: masks/\d/a\.png and 1 more fits it better", warning)


def test_small_objects_are_counted_as_in_the_whole_mask(monkeypatch):
    monkeypatch.setattr("maskmake.data.pair_facts.BAND", 200)
    from skimage.measure import label

    for seed in range(5):
        mask = np.random.default_rng(seed).random((83, 40)) < 0.13
        sizes = np.bincount(label(mask, connectivity=2).ravel())[1:]
        assert count_small_objects(mask) == (sizes < 4).sum()


def test_several_processes_find_the_same(discs, monkeypatch):
    monkeypatch.setattr("maskmake.data.pair_reading.PROCESS_BYTES", 1)
    saturated()
    Path("images/5.png").write_bytes(b"no image")
    one, two = audit(), audit(processes=2)
    assert (one.faults, one.warnings) == (two.faults, two.warnings)
    assert one.manifest.equals(two.manifest)
    pages = []
    for result in (one, two):
        write_page(result, "page.html")
        pages.append(Path("page.html").read_bytes())
    assert pages[0] == pages[1]


def test_many_images_are_handed_over_together_in_order():
    items = list(range(23))
    assert list(map_in_order(str, items, processes=2, batch=5)) == list(map(str, items))


def test_pairs_are_compared_in_blocks_of_equal_size(monkeypatch):
    monkeypatch.setattr("maskmake.data.label_fit.COMPARED", 6)
    maps = [edge_maps(*pair(number)) for number in range(18)]
    # Two pairs of one block are exchanged, and two of different blocks.
    exchanged = {1: 3, 3: 1, 5: 8, 8: 5}
    search = FitSearch()
    for number in range(18):
        borders = maps[exchanged.get(number, number)].borders
        search.add(str(number), (SIDE, SIDE), EdgeMaps(maps[number].edges, borders))
        search.add(f"large {number}", (SIDE, SIDE + 1), maps[number])
    found = search.found()
    assert {(fit.image, fit.label) for fit in found} == {("1", "3"), ("3", "1")}
    assert [fit.own - fit.other for fit in found] == sorted(fit.own - fit.other for fit in found)


def test_pairs_of_many_sizes_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("maskmake.data.label_fit.HELD", 8)
    search, dropped = FitSearch(), []
    for number in range(40):
        maps = EdgeMaps(np.zeros(4, np.uint8), np.zeros(4, np.uint8))
        dropped.append(weakref.ref(maps.edges))
        search.add(str(number), (number % 5, 1), maps)
        del maps
        assert sum(edges() is not None for edges in dropped) <= 8
    assert search.found() == []


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("a.png: found; expected b; do c; or d.", ("a.png", "found", "b", "do c; or d")),
        ("a.png: found; do c.", ("a.png", "found", "", "do c")),
        ("only this.", ("", "only this", "", "")),
    ],
)
def test_a_sentence_falls_into_its_parts(sentence, parts):
    assert parts_of(sentence) == parts


# --- the page ---------------------------------------------------------------------------------


def page_of(result: Audit) -> str:
    write_page(result, "page.html")
    return Path("page.html").read_text(encoding="utf-8")


def test_the_page_shows_every_pair_offenders_first(discs):
    saturated()
    Path("images/5.png").write_bytes(b"no image")
    page = page_of(audit())
    assert page.count('src="data:image/jpeg;base64,') == COUNT - 1
    assert "http" not in re.sub(NAMESPACE, "", page) and "<script" not in page
    first = page.index('class="pairs"')
    assert page.index('alt="3 with', first) < page.index('alt="0 with', first)
    for card in ('<span class="badge">fault</span> images/5.png', "<dt>what to do</dt>"):
        assert card in page
    assert page.count("<svg") == 3


def test_pictures_are_sampled_and_offenders_always_shown(discs, monkeypatch):
    monkeypatch.setattr("maskmake.data.audit_page.SAMPLED", 4)
    saturated()
    page = page_of(audit())
    assert page.count('src="data:image/jpeg;base64,') == 4
    assert 'alt="3 with' in page
    assert "4 of 10 are shown" in page


def test_pictures_that_were_not_kept_are_drawn_again_alike(discs, monkeypatch):
    for number in (1, 4, 8):
        image, _ = pair(number)
        image[:40] = 255
        save("images", number, image)
    all_drawn = audit().pictures
    for module in ("audit_page", "pair_pictures", "pair_reading"):
        monkeypatch.setattr(f"maskmake.data.{module}.SAMPLED", 5)
    kept = audit().pictures
    assert len(kept) == 5
    assert {picture.id for picture in kept[:3]} == {"1", "4", "8"}
    assert [picture.level for picture in kept] == ["warning"] * 3 + [None] * 2
    assert set(kept) < set(all_drawn)
    write_page(audit(), "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "First the 3 with a finding" in page and "5 of 10 are shown" in page


def test_pages_of_a_stack_are_drawn_again_too(discs, monkeypatch):
    for kind, part in (("images", 0), ("labels", 1)):
        pages = np.stack([pair(number)[part] for number in range(20, 40)])
        if not part:
            pages[[7, 18], :40] = 255
        tifffile.imwrite(f"{kind}/s.tif", pages, photometric="minisblack")
    for module in ("audit_page", "pair_pictures", "pair_reading"):
        monkeypatch.setattr(f"maskmake.data.{module}.SAMPLED", 4)
    pictures = audit().pictures
    assert len(pictures) == 4
    assert {picture.id for picture in pictures[:2]} == {"s_0007", "s_0018"}
