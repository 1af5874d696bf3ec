"""Time and memory of planning, and of the steps before the training, for many images.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/scale.py 100 10000 100000

writes that many different images of 64 x 64 pixels (``--size``) and their labels as PNG into a
temporary folder and runs ``snakemake`` there: the plan of the report (``-n``), the steps
``validate``, ``binarize`` and ``split``, the plan when they are done, and the plan of a
segmentation of the same images with a trained model. Prints seconds and the peak of resident
memory in MiB of each, of its largest process (Linux and macOS).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from maskmake.data.synthesis import synthesize

ROOT = Path(__file__).parents[1]
MODEL_FILES = ("decision.json", "fold0/model.keras", "fold0/training.json")
KIB_PER_UNIT = 1 / 1024 if sys.platform == "darwin" else 1  # of the peak of resident memory


def write_images(folder: Path, count: int, size: int) -> None:
    """Images, no two of them equal, their labels, and a model to plan with."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    drawn = [synthesize(index, size, seed=1) for index in range(20)]
    for number in range(count):
        image, label = drawn[number % len(drawn)]
        bits = np.unpackbits(np.array([number], ">u4").view("uint8"))
        image[0, : bits.size] = image[0, : bits.size] & 0xFE | bits
        for kind, pixels in (("images", image), ("labels", label)):
            Image.fromarray(pixels).save(folder / kind / f"{number:06d}.png")
    for name in MODEL_FILES:
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_text("{}")


def write_configuration(folder: Path, size: int) -> None:
    """One for the data set and one for the segmentation."""
    data = {
        "dataset": {"name": "many", "images": "images", "labels": "labels"},
        "train": {"patch": size},
    }
    segment = {"segment": {"images": "images", "model": "model"}}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    (folder / "segment.yaml").write_text(yaml.safe_dump(segment))


def measured(folder: Path, config: str, *arguments: str) -> str:
    """Seconds and peak memory of one call of Snakemake, or of the job that it runs."""
    command = [Path(sys.executable).with_name("snakemake"), *arguments, "--configfile", config]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    started = time.perf_counter()
    process = subprocess.Popen(
        list(map(str, command)), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    output = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(output.decode())
    seconds = time.perf_counter() - started
    return f"{seconds:6.1f} s {usage.ru_maxrss * KIB_PER_UNIT / 1024:6.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=int, nargs="+")
    parser.add_argument("--size", type=int, default=64, help="their height and width in pixels")
    parser.add_argument("--cores", default="all")
    options = parser.parse_args()
    for count in options.images:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_images(folder, count, options.size)
            write_configuration(folder, options.size)
            for title, config, *arguments in (
                ("plan", "data.yaml", "--dry-run", "--quiet"),
                ("validate", "data.yaml", "validate"),
                ("binarize", "data.yaml", "binarize"),
                ("split", "data.yaml", "split"),
                ("plan again", "data.yaml", "--dry-run", "--quiet"),
                ("plan segment", "segment.yaml", "segment", "--dry-run", "--quiet"),
            ):
                found = measured(folder, config, *arguments, "--cores", options.cores)
                print(f"{count:7} images  {title:13}{found}", flush=True)


if __name__ == "__main__":
    main()
