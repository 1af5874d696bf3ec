"""The settings that the package of a model brings, in place of defaults."""

from pathlib import Path

from maskmake.network.package_file import PREPROCESSING, read_preprocessing


def predict_of_model(model: str | None, given: dict | None, complete: dict) -> dict:
    """The section ``predict`` for new images.

    Args:
        model: ``segment.model``. A package has the section that its decision was learned with.
        given: the section as the user wrote it, if it is there.
        complete: the section with its defaults.

    Raises:
        UserError: ``preprocessing.json`` of the package is damaged.
    """
    if model is None or not Path(model, PREPROCESSING).is_file():
        return complete
    packed = dict(read_preprocessing(Path(model))["predict"])
    return {key: value if key in (given or {}) else packed[key] for key, value in complete.items()}
