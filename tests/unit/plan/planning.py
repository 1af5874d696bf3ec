"""Plans by constructed fingerprints and machines."""

import copy
from dataclasses import dataclass

from schema import SCHEMA

from maskmake.network.settings import PLANNED
from maskmake.plan.planner import plan_run

TRAIN = SCHEMA["$defs"]["train"]["properties"]

GIB = 2**30

# Sixty images of 512 x 512 pixels, of which forty are trained on.
DATA = {
    "images": 60,
    "height": {"minimum": 512, "median": 512.0, "maximum": 512},
    "width": {"minimum": 512, "median": 512.0, "maximum": 512},
    "channels": 1,
    "dtype": "uint8",
    "foreground": 0.3,
    "intensity": {"mean": [100.0], "std": [40.0], "minimum": 0.0, "maximum": 255.0,
                  "between": [10.0], "inside": [38.0]},
    "objects": "foreground",
    "training_pixels": 40 * 512**2,
    "structures": {"objects": 900, "object_area": 700.0, "object_length": 30.0,
                   "smallest_object": 40.0, "foreground_width": 15.0, "background_width": 60.0},
}  # fmt: skip

AUTO = dict.fromkeys(PLANNED, "auto") | {
    "architecture": "Unet",
    "encoder": "resnet34",
    "encoder_weights": None,
    "precision": "auto",
    "minutes": None,
}


@dataclass(frozen=True)
class Machine:
    """A machine with so much memory for a training."""

    gpus: int = 0
    bytes: int | None = 16 * GIB

    @property
    def memory(self):
        return self.bytes

    @property
    def halves_outputs(self):
        return self.gpus > 0

    @property
    def name(self):
        return "GPU" if self.gpus else "processor"


def data(**changes):
    """The fingerprint, with values changed in whichever part has them."""
    made = copy.deepcopy(DATA)
    for key, value in changes.items():
        parts = [part for part in (made, made["intensity"], made["structures"]) if key in part]
        parts[0][key] = value
    return made


def plan(fingerprint=DATA, machine=None, shapes=((512, 512),), **explicit):
    return plan_run({**AUTO, **explicit}, fingerprint, shapes, machine or Machine())


def chosen(name, fingerprint=DATA, machine=None, **explicit):
    setting = plan(fingerprint, machine, **explicit)["settings"][name]
    return setting["value"], setting["reason"]
