"""Masks of images without labels, from a trained run."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import keras
import numpy as np
import pandas as pd

from maskmake.data.file_checks import check_memory
from maskmake.data.file_versions import read_record, sum_of, write_scan
from maskmake.data.image_findings import SMALLEST_SIDE
from maskmake.data.images import ImageFile, open_image_files
from maskmake.data.normalization import moments
from maskmake.data.png_writer import png_rows
from maskmake.masks.decision import Decision, read_decision, stored_decision
from maskmake.masks.large_images import masked, temporary_bytes
from maskmake.masks.package_sums import FOLD_FILES, check_package, is_package
from maskmake.masks.run_folds import check_fold_files, warn_of_folds
from maskmake.network.saved_networks import load_folds
from maskmake.network.settings import PredictSettings, Preprocessing
from maskmake.network.tiles import LARGEST_WHOLE
from maskmake.predict.inputs import check_pixels, trained_pixels
from maskmake.predict.kept_masks import Done, MaskRecord, digest_of_model
from maskmake.predict.predictor import Predictor
from maskmake.predict.review import RANGES
from maskmake.predict.tiling import ImageStream, predict_bands
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_csv, write_json
from maskmake.runtime.log import logger
from maskmake.runtime.progress import tracked
from maskmake.scores.calibration import EXPECTED, expected_dice
from maskmake.scores.probabilities import FLOAT16_LEVELS, probability_histogram

# Memory of a row of tiles, bytes a pixel: logits, their mean, and pixels (RGB of 16 bits) twice.
ROW_BYTES = 20
COLUMNS = ["id", "image", "height", "width", "foreground", *EXPECTED, *RANGES]


class Segmented(NamedTuple):
    """What became of images.

    Attributes:
        table: a row for each mask, with ``COLUMNS``.
        refused: a sentence for each image that could not be used.
    """

    table: pd.DataFrame
    refused: list[str]


def check_image(image: ImageFile, preprocessing: Preprocessing) -> None:
    """Refuse an image that the model cannot take.

    Args:
        image: to be segmented.
        preprocessing: of the network; channels and dtype are those of the training images.

    Raises:
        UserError: the image is below 32 pixels, or has other channels than grey or RGB where the
            training images had others, or a pixel type whose values mean something else.
    """
    height, width = _size(image)
    if min(height, width) < SMALLEST_SIDE:
        raise UserError(
            f"{image.path}: {height} x {width} pixels (height x width); expected at least "
            f"{SMALLEST_SIDE} on each side, which the network needs; remove the image."
        )
    channels = image.shape[2] if len(image.shape) == 3 else 1
    check_pixels(image.path, channels, image.dtype, image.file_dtype, preprocessing)


def check_room(image: ImageFile, tile: int | Literal["auto"], out: Path) -> None:
    """Refuse an image for which there is no memory or, for its temporary files, no disk.

    Args:
        image: to be segmented.
        tile: ``predict.tile``.
        out: folder of the masks.

    Raises:
        UserError: naming what is needed and what is free.
    """
    height, width = _size(image)
    side = LARGEST_WHOLE if tile == "auto" else tile
    try:
        check_memory(height, width, side * width * ROW_BYTES)
    except UserError as error:
        raise UserError(f"{image.path}: {error}") from None
    needed = temporary_bytes((height, width))
    if needed:
        out.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(out).free):
            raise UserError(
                f"{image.path}: the mask of {height} x {width} pixels (height x width) needs "
                f"{needed / 2**30:.1f} GiB of temporary files in {out}, and {free / 2**30:.1f} GiB "
                "are free; free space, or cut the image into smaller ones."
            )


def _open_all(
    paths: Iterable[Path],
    names: Mapping[str, str],
    preprocessing: Preprocessing,
    settings: PredictSettings,
    out: Path,
    taken: Mapping[str, str],
) -> tuple[list[ImageFile], list[str]]:
    """Every image that can be segmented, and the faults of the others."""
    images: list[ImageFile] = []
    faults: list[str] = []
    for path in paths:
        try:
            selection = preprocessing.get("selection")
            found = open_image_files(path, selection, names.get(str(path)), taken)
        except UserError as error:
            found = [error]
        for image in found:
            try:
                if isinstance(image, UserError):
                    raise image
                check_image(image, preprocessing)
                check_room(image, settings.tile, out)
                images.append(image)
            except UserError as error:
                _refuse(error, faults)
    return images, faults


def _refuse(error: UserError, faults: list[str]) -> None:
    logger.warning("%s", error)
    faults.append(str(error))


def _size(image: ImageFile) -> tuple[int, int]:
    height, width = image.shape[:2]
    return height, width


class _Inputs:
    """Images as the network was given its training images, and the values that they had."""

    def __init__(self, preprocessing: Preprocessing):
        self._preprocessing = preprocessing
        self._ranges: dict[ImageFile, tuple[float, float]] = {}

    def stream(self, image: ImageFile) -> ImageStream[ImageFile]:
        return ImageStream(image, _size(image), self._normalized(image))

    def _bands(self, image: ImageFile) -> Iterator[np.ndarray]:
        low, high = np.inf, -np.inf
        for band in image.read():
            pixels = trained_pixels(image.path, band, self._preprocessing)
            low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
            self._ranges[image] = low, high
            yield pixels

    def _normalized(self, image: ImageFile) -> Iterator[np.ndarray]:
        if not self._preprocessing.get("per_image"):
            yield from self._bands(image)
            return
        found = moments(self._bands(image), self._preprocessing["channels"])
        for band in self._bands(image):
            yield found.apply(band)

    def range_of(self, image: ImageFile) -> tuple[float, ...]:
        """The columns ``RANGES`` of an image that was read to its end."""
        seen = self._preprocessing.get("seen")
        if seen is None or self._preprocessing.get("per_image"):
            return (*self._ranges[image], np.nan, np.nan, np.nan)
        trained = seen["minimum"], seen["maximum"], seen["smallest_maximum"]
        return (*self._ranges[image], *trained)


def segment_shard(
    images: Mapping[str, str],
    stored: list[str],
    taken: Mapping[str, str],
    models: list[str],
    decision: str,
    run: list[str],
    settings: PredictSettings,
    code: dict[str, str],
    contents: str,
    source: dict,
    source_record: str,
    table: Path,
    refused: str,
) -> None:
    """Write the masks of one shard of a folder without labels, and the table of them.

    An image that cannot be used stops neither the others nor the job. The next attempt makes only
    the masks that are missing, and after a kill those of the last minute.

    Args:
        images: the ids of the masks, by the paths of the images.
        stored: images that a storage plugin has brought here; their stems are their ids.
        taken: as of ``segment_images``.
        models: ``model.keras`` of each fold.
        decision: ``decision.json`` of the run.
        run: ``run.json``, or none.
        settings: tile, overlap, test-time augmentation.
        code: hashes of the code.
        contents: output; what the images hold.
        source: where the images and the model come from.
        source_record: output; ``source``, so that the next start refuses others here.
        table: output, ``.shards/<shard>.csv`` in the folder of the masks.
        refused: output, a JSON list with a sentence for each image that could not be used.

    Raises:
        UserError: as ``segment_images``.
    """
    write_scan(images, contents)
    write_json(source_record, source)
    sums = {str(Path(file)): seen.sha256 for file, seen in read_record(contents).items()}
    sums |= {str(Path(file)): sum_of(file) for file in stored}
    folds = [Path(model).parent for model in models]
    files = [decision, *run, *(str(fold / name) for fold in folds for name in FOLD_FILES)]
    made_with = digest_of_model(files, settings, code)
    masks = table.parents[1]
    path = Path(contents).with_name(f"{table.stem}.kept.json")
    with MaskRecord(path, made_with, sums, masks) as record:
        done = segment_images(
            [*images, *stored],
            folds,
            Path(decision),
            settings,
            masks,
            next(map(Path, run), None),
            images,
            taken,
            record.read(),
            record.add,
        )
        write_json(refused, done.refused)
        write_csv(table, done.table)
        if done.refused:
            record.write()
        else:
            record.remove()
    logger.info("%d masks: %s", len(done.table), masks)


def segment_images(
    paths: list[str],
    folds: list[Path],
    decision_path: Path,
    settings: PredictSettings,
    out: Path,
    run_path: Path | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
    taken: Mapping[str, str] = MappingProxyType({}),
    kept: Mapping[tuple[str, str], Done] = MappingProxyType({}),
    note: Callable[[Done], None] = lambda done: None,
) -> Segmented:
    """Write the mask of each image, 0/255, to ``out/<name>.png``.

    A TIFF stack has a mask for each page: ``out/<name>_0000.png`` and so on. An image that cannot
    be used does not stop the others.

    Args:
        paths: images.
        folds: folder of each trained fold, with ``model.keras`` and ``training.json``.
        decision_path: ``decision.json`` of the run, of this version or an earlier one.
        settings: tile, overlap, test-time augmentation.
        out: folder of the masks.
        run_path: ``run.json``, with the sums of the files of the folds; a run of 0.1.0 has none.
        names: of masks by the path of the image, where it is not the stem.
        taken: paths of other images by the names of their masks, which no page of a stack may have.
        kept: masks that are there, by id and path of the image; they are made again only where
            the tile is another one.
        note: is given each mask as soon as it is written.

    Returns:
        The masks, each with its id, image, height, width, foreground (share of the mask),
        ``EXPECTED``, the Dice to expect, and ``RANGES``: lowest and highest value of the image and
        of the training images, and the lowest of the highest values of each of these.

    Raises:
        UserError: the files of the run are damaged or not those of one run.
    """
    if is_package(Path(decision_path).parent):
        check_package(Path(decision_path).parent)
    learned = read_decision(decision_path, any_version=True)
    if run_path is not None:
        models, trainings = ([fold / name for fold in folds] for name in FOLD_FILES)
        check_fold_files(run_path, trainings, models)
    warn_of_folds(folds[0].parent, folds)
    decision = stored_decision(learned)
    # Probabilities of a run without a temperature are taken as they are.
    temperature = learned.get("temperature", 1.0)
    networks, preprocessing = load_folds(folds)
    images, faults = _open_all(map(Path, paths), names, preprocessing, settings, out, taken)
    inputs = _Inputs(preprocessing)

    def write(image: ImageFile, bands: Iterator[np.ndarray], side: int) -> Done:
        row = _write_mask(image, bands, decision, temperature, out)
        done = Done(dict(zip(COLUMNS, (*row, *inputs.range_of(image)), strict=True)), side)
        note(done)
        return done

    rows = _write_masks(images, networks, inputs, settings, write, kept, faults)
    return Segmented(pd.DataFrame(rows, columns=COLUMNS), faults)


def _write_masks(
    images: list[ImageFile],
    networks: list[keras.Model],
    inputs: _Inputs,
    settings: PredictSettings,
    write: Callable[[ImageFile, Iterator[np.ndarray], int], Done],
    kept: Mapping[tuple[str, str], Done],
    faults: list[str],
) -> list[dict]:
    """Write the mask of each image that can be read to its end; collect the faults of the others.

    The tile depends on the sizes of all images. Where a broken image had a say in it, the others
    are predicted again, and so are masks that were kept of another tile.

    Returns:
        A row for each mask, in the order of the images.
    """
    masks: dict[ImageFile, Done] = {}
    for image in images:
        if done := kept.get((image.id, str(image.path))):
            masks[image] = done
    predictor = None
    while images:
        predictor = predictor or Predictor(networks, map(_size, images), settings)
        side = predictor.side
        missing = [image for image in images if image not in masks]
        todo = missing or [image for image in images if masks[image].side != side]
        if not todo:
            break
        sources = tracked(map(inputs.stream, todo), "segmented", len(todo))
        for image, events in groupby(predict_bands(predictor, sources), key=itemgetter(0)):
            try:
                masks[image] = write(image, _bands(events), side)
            except UserError as error:
                _refuse(error, faults)
                masks.pop(image, None)
                predictor = None  # for the sizes of the others
        images = [image for image in images if image in masks]
    return [masks[image].row for image in images]


def _bands(events: Iterable[tuple[ImageFile, np.ndarray | UserError]]) -> Iterator[np.ndarray]:
    """Probabilities of one image, band by band; raises the fault that ends them."""
    for _, band in events:
        if isinstance(band, UserError):
            raise band
        yield band


def _write_mask(
    image: ImageFile,
    bands: Iterator[np.ndarray],
    decision: Decision,
    temperature: float,
    out: Path,
) -> tuple:
    """Write the mask of one image and return its row of the table."""
    height, width = _size(image)
    histogram = np.zeros((2, FLOAT16_LEVELS.size), np.int64)
    with png_rows(out / f"{image.id}.png", height, width) as write:
        for probability, mask in masked(bands, (height, width), decision, out):
            write(mask)
            histogram += probability_histogram(probability, mask)
    share = histogram[1].sum() / (height * width)
    expected = expected_dice(histogram, temperature)
    return image.id, str(image.path), height, width, share, *expected.values()
