"""What a network is given of the images, by the settings of a run and the plan of the data."""

import numpy as np

from maskmake.data.fingerprint import Plan
from maskmake.network.settings import Normalization, Preprocessing, TrainSettings


def normalization_of(settings: TrainSettings, plan: Plan) -> Normalization:
    """Scale and offset by ``train.normalization`` for the pixel values in ``plan.json``."""
    channels = plan["channels"]
    if settings.normalization in ("none", "image"):  # of an image: before the network
        return {"scale": [1.0] * channels, "offset": [0.0] * channels}
    if settings.normalization == "unit":
        top = float(np.iinfo(plan["dtype"]).max)
        return {"scale": [1.0 / top] * channels, "offset": [0.0] * channels}
    mean, std = np.array(plan["intensity"]["mean"]), std_of(settings, plan)
    return {"scale": (1 / std).tolist(), "offset": (-mean / std).tolist()}


def std_of(settings: TrainSettings, plan: Plan) -> np.ndarray:
    """Standard deviation of what the network is given for each channel; 1 where it is constant."""
    if settings.normalization == "image":
        return np.ones(plan["channels"])
    std = np.array(plan["intensity"]["std"])
    return np.where(std > 0, std, 1.0)


def preprocessing_of(settings: TrainSettings, plan: Plan) -> Preprocessing:
    """What new images have to be for the network."""
    found: Preprocessing = {
        "channels": plan["channels"],
        "dtype": plan["dtype"],
        "per_image": settings.normalization == "image",
        **normalization_of(settings, plan),
    }
    if "selection" in plan:
        found["selection"] = plan["selection"]
    if "range" in plan:
        found["range"] = plan["range"]
    intensity = plan["intensity"]
    if "smallest_maximum" in intensity:
        found["seen"] = {
            "minimum": intensity["minimum"],
            "maximum": intensity["maximum"],
            "smallest_maximum": intensity["smallest_maximum"],
        }
    return found
