"""What describes a network: its typed settings, and the record of its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

from maskmake.runtime.documents import Keywords, read_document
from maskmake.runtime.errors import UserError

ENCODER_STRIDE = 32  # the sides of what a network takes are multiples of it
# PSPNet pools an eighth of the patch into 6 x 6 cells, and the encoder halves the patch five
# times: a side has to be a multiple of 48 and of 32.
PSPNET_STEP = 96


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of training patches; ranges and units are in the schema."""

    probability: float = 1.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quarter_turns: bool = False
    rotation: float = 0.0
    rotation_probability: float = 1.0
    zoom: float = 0.0
    zoom_probability: float = 1.0
    shift: float = 0.0
    shift_probability: float = 1.0
    shear: float = 0.0
    shear_probability: float = 1.0
    elastic: float = 0.0
    elastic_grid: int = 4
    elastic_probability: float = 1.0
    fill: str = "reflect"
    noise: float = 0.0
    noise_probability: float = 1.0
    blur: float = 0.0
    blur_probability: float = 1.0
    gain: float = 0.0
    gain_probability: float = 1.0
    brightness: float = 0.0
    brightness_probability: float = 1.0
    contrast: float = 0.0
    contrast_probability: float = 1.0
    low_resolution: float = 1.0
    low_resolution_probability: float = 1.0
    gamma: float = 1.0
    gamma_probability: float = 1.0
    gamma_negative_probability: float = 0.0

    @property
    def moves_pixels(self) -> bool:
        """Whether anything geometric is asked for."""
        return bool(
            self.flip_horizontal
            or self.flip_vertical
            or self.quarter_turns
            or self.rotation
            or self.zoom
            or self.shift
            or self.shear
            or self.elastic
        )


AUGMENTATION_PRESETS = {
    "none": AugmentationSettings(),
    # The changes, ranges and probabilities of nnU-Net (Isensee et al. 2021) for 2D images, with
    # quarter turns. Like nnU-Net it has no elastic deformation.
    "default": AugmentationSettings(
        flip_horizontal=True,
        flip_vertical=True,
        quarter_turns=True,
        rotation=180.0,
        rotation_probability=0.2,
        zoom=0.3,
        zoom_probability=0.2,
        noise=0.1,
        noise_probability=0.1,
        blur=1.0,
        blur_probability=0.2,
        gain=0.25,
        gain_probability=0.15,
        contrast=0.25,
        contrast_probability=0.15,
        low_resolution=0.5,
        low_resolution_probability=0.25,
        gamma=1.5,
        gamma_probability=0.3,
        gamma_negative_probability=0.1,
    ),
    # Version 4 of the tutorial on ISBI 2012; see config/article.yaml.
    "article": AugmentationSettings(
        probability=0.6,
        rotation=0.05,
        zoom=0.05,
        shift=0.05,
        shear=0.05,
        flip_horizontal=True,
    ),
}


# Settings of the section ``train`` for which ``AUTO`` stands until the plan of a run gives them a
# value, and those that lead to it.
AUTO = "auto"
PLANNED = (
    "preset",
    "patch",
    "batch",
    "steps",
    "epochs",
    "foreground_patches",
    "normalization",
    "augmentation",
    "deep_supervision",
)


@dataclass(frozen=True)
class TrainSettings:
    """Section ``train`` of one run; meanings, ranges and defaults are in the schema."""

    architecture: str
    encoder: str
    encoder_weights: str | None
    patch: int
    batch: int
    steps: int
    epochs: int
    minutes: float | None
    loss: str
    deep_supervision: bool
    optimizer: str
    learning_rate: float
    schedule: str
    warmup: float
    ema: float | None
    patience: int | None
    foreground_patches: float
    normalization: str
    label_scale: float
    augmentation: AugmentationSettings
    guard: bool
    precision: str
    backend: str
    seed: int

    @classmethod
    def from_section(cls, section: dict) -> "TrainSettings":
        """Settings of a run from its section, with the values of its plan in place of ``auto``."""
        augmentation = section["augmentation"]
        if isinstance(augmentation, str):
            augmentation = AUGMENTATION_PRESETS[augmentation]
        else:
            augmentation = AugmentationSettings(**augmentation)
        return cls(**{**section, "augmentation": augmentation})


@dataclass(frozen=True)
class PredictSettings:
    """Section ``predict``: tile in pixels or ``auto``, overlap as a share, 8-fold averaging."""

    tile: int | Literal["auto"]
    overlap: float
    tta: bool


# Far beyond any number in use; they keep a foreign file from asking for all memory.
MOST_PARAMETERS, LARGEST_PATCH = 2**31, 2**14

Count = Annotated[int, Keywords(minimum=1)]


class Normalization(TypedDict):
    """``pixel * scale + offset``, a number for each channel."""

    scale: list[float]
    offset: list[float]


class SeenRange(TypedDict):
    """Pixel values of the training and validation images; ``fingerprint.Intensity``."""

    minimum: float
    maximum: float
    smallest_maximum: float


class Preprocessing(Normalization):
    """What a network expects: channels, pixel type, and the normalization of its values.

    Attributes:
        per_image: whether each image is given with zero mean and unit variance of its own.
        selection: which channels of a file are used, counted from 1; absent for all.
        range: which value of 16 bits is 255 of 8 bits; absent where none was set.
        seen: what the images had that were trained on; absent from older trainings.
    """

    channels: Annotated[int, Keywords(minimum=1, maximum=16)]
    dtype: Literal["uint8", "uint16", "int16", "float32"]
    per_image: NotRequired[bool]
    selection: NotRequired[Annotated[list[Count], Keywords(minItems=1)]]
    range: NotRequired[int]
    seen: NotRequired[SeenRange]


def patch_step(architecture: str) -> int:
    """Of which the side of a patch is a multiple, in pixels."""
    return PSPNET_STEP if architecture == "PSPNet" else ENCODER_STRIDE


class NetworkSettings(TypedDict):
    """The fields of ``TrainSettings`` from which a network is built again, and its length."""

    architecture: Literal["Unet", "FPN", "Linknet", "PSPNet"]
    encoder: Annotated[str, Keywords(pattern="^[a-z0-9]+$")]
    encoder_weights: Literal["imagenet"] | None
    patch: Annotated[int, Keywords(minimum=32, maximum=LARGEST_PATCH, multipleOf=32)]
    batch: Count
    steps: Count
    backend: Literal["tensorflow", "jax", "torch"]


class TrainingRecord(TypedDict):
    """Contents of ``training.json``: how one network was trained.

    Ranges are those of the JSON schema that ``runtime.documents`` makes of it.
    """

    settings: NetworkSettings  # and all others
    fold: Annotated[int, Keywords(minimum=0)]
    preprocessing: Preprocessing
    precision: Literal["float32", "bfloat16"]
    device: str
    processors: NotRequired[Count]  # of the computer; not in older files
    commit: NotRequired[str]  # of maskmake, where git knows it
    xla: bool
    parameters: Annotated[int, Keywords(minimum=1, maximum=MOST_PARAMETERS)]
    patches: Count
    seconds: Annotated[float, Keywords(minimum=0)]
    finished: NotRequired[str]  # the day, such as 2026-11-27, in UTC; not in older files
    peak_memory: NotRequired[Count]  # bytes; a training of 0.1.0 has none
    best_epoch: Count
    val_loss: Annotated[float, Keywords(type=["number", "null"])]  # null where it was no number
    versions: dict[str, str]


def read_training(path: str | Path) -> TrainingRecord:
    """Read ``training.json``.

    Raises:
        UserError: it is no JSON document, a value is not what it should be, or the normalization
            has not one number for each channel.
    """
    record: TrainingRecord = read_document(path, TrainingRecord)
    trained = record["preprocessing"]
    for name in ("scale", "offset"):
        numbers = trained["scale"] if name == "scale" else trained["offset"]
        if len(numbers) != trained["channels"]:
            raise UserError(
                f"{path}: preprocessing.{name} has {len(numbers)} numbers; expected one for each "
                f"of {trained['channels']} channels; copy it again from where it was made."
            )
    return record
