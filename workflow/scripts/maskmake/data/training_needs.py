"""What a training asks of the images, known before it starts."""

from collections.abc import Iterator, Mapping

# Types with a highest value that means white.
WITH_A_TOP = ("uint8", "uint16")
OF_PHOTOGRAPHS = (1, 3)  # channels


def image_faults(dtype: str, channels: int, train: Mapping) -> Iterator[str]:
    """Why images do not fit the settings of a training, one sentence each.

    Args:
        dtype: of the pixel store.
        channels: of the pixel store.
        train: the settings ``normalization`` and ``encoder_weights`` of a run.
    """
    if train["normalization"] == "unit" and dtype not in WITH_A_TOP:
        yield (
            f"train.normalization: unit, but the images are kept as {dtype}, whose highest value "
            "is not known; set train.normalization to standard or image."
        )
    if train["encoder_weights"] and channels not in OF_PHOTOGRAPHS:
        yield (
            f"train.encoder_weights: {train['encoder_weights']}, but the images have {channels} "
            "channels; expected 1 or 3; set dataset.channels to so many, or train.encoder_weights "
            "to null."
        )
