"""``preprocessing.json``: what a package expects of images. The Snakefile reads it, too."""

from pathlib import Path
from typing import Annotated, Literal, TypedDict

from maskmake.network.settings import ENCODER_STRIDE, LARGEST_PATCH, Preprocessing
from maskmake.runtime.documents import Keywords, read_document

PREPROCESSING = "preprocessing.json"

Side = Annotated[
    int, Keywords(minimum=ENCODER_STRIDE, maximum=LARGEST_PATCH, multipleOf=ENCODER_STRIDE)
]


class Tiling(TypedDict):
    """The section ``predict`` of the configuration; see ``PredictSettings``."""

    tile: Side | Literal["auto"]
    overlap: Annotated[float, Keywords(minimum=0, maximum=0.9)]
    tta: bool


class PackedPreprocessing(Preprocessing):
    """Contents of ``preprocessing.json``."""

    predict: Tiling


def read_preprocessing(folder: Path) -> PackedPreprocessing:
    """Read the file of a package; of ``predict``, the keys that this version has.

    Raises:
        UserError: it is no JSON document, or a value is not what it should be.
    """
    found: PackedPreprocessing = read_document(folder / PREPROCESSING, PackedPreprocessing)
    predict = found["predict"]
    found["predict"] = Tiling(tile=predict["tile"], overlap=predict["overlap"], tta=predict["tta"])
    return found
