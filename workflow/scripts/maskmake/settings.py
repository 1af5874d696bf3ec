"""Typed, frozen settings of the stages that have more than a few, as the schema fills them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of training patches; ranges and units are in the schema."""

    probability: float = 1.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quarter_turns: bool = False
    rotation: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    fill: str = "reflect"

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
        )


AUGMENTATION_PRESETS = {
    "none": AugmentationSettings(),
    "default": AugmentationSettings(
        flip_horizontal=True,
        flip_vertical=True,
        quarter_turns=True,
        rotation=15.0,
        zoom=0.2,
        shear=5.0,
        brightness=0.3,
        contrast=0.25,
        noise=0.15,
    ),
}


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
    loss: str
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
    precision: str
    backend: str
    seed: int

    @classmethod
    def from_section(cls, section: dict) -> "TrainSettings":
        """Settings of a run from its resolved configuration section."""
        augmentation = section["augmentation"]
        if isinstance(augmentation, str):
            augmentation = AUGMENTATION_PRESETS[augmentation]
        else:
            augmentation = AugmentationSettings(**augmentation)
        return cls(**{**section, "augmentation": augmentation})


@dataclass(frozen=True)
class PredictSettings:
    """Section ``predict``: tile in pixels or ``auto``, overlap as a share, 8-fold averaging."""

    tile: int | str
    overlap: float
    tta: bool
