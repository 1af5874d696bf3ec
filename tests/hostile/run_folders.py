"""What is done with the folder of a run that may be damaged."""
# ruff: noqa: E402 - the device is chosen before Keras is imported

import contextlib
import json
import os
import time
import tracemalloc
from pathlib import Path

from maskmake.network.device import select_device

select_device("tensorflow", 0, os.devnull)

from maskmake.data.images import read_pixels
from maskmake.network.settings import PredictSettings
from maskmake.predict.segmentation import segment_images
from maskmake.snakefile.locations import trained_folds

SETTINGS = PredictSettings(tile=32, overlap=0.5, tta=False)
SECONDS, MEMORY = 2, 300 * 2**20


def segment(run, image, out):
    """The mask of an image, as the rule makes it: by the folds that belong to the run."""
    listed = run / "run.json"
    folds = [Path(fold) for fold in trained_folds(str(run))]
    segment_images(
        [str(image)],
        folds,
        run / "decision.json",
        SETTINGS,
        out,
        listed if listed.is_file() else None,
    )
    return read_pixels(out / "a.png")


def expected_mask(image):
    return (read_pixels(image) > 127) * 255


@contextlib.contextmanager
def within_bounds():
    """Check the processor time and the memory of what is refused."""
    tracemalloc.start()
    start = time.process_time()
    try:
        yield
    finally:
        taken, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert taken < SECONDS and peak < MEMORY


def change_json(path, keys, value):
    contents = json.loads(path.read_text())
    place = contents
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(contents))
