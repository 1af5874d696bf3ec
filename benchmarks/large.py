"""Peak host memory of ``segment`` on images of several sizes.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/large.py 4096 20480
    .venv/bin/python benchmarks/large.py 4096 8192 --format jpg

writes a grey image of blurred noise of each height and width, segments it with a network of two
convolutions and a decision of two levels with clean-up, each in a process of its own, and prints
the seconds and the peak resident memory in MiB: all of it, the process's own part, and the pages of
mapped files (Linux only). The folder of temporary files takes 9 bytes a pixel.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from memory import KINDS, peaks
from PIL import Image
from scipy import ndimage

BLOCK = 1024


def write_image(folder: Path, size: int, suffix: str) -> None:
    """A tiled, compressed TIFF, a PNG or a JPEG; each block has objects of its own."""
    rng = np.random.default_rng(1)
    fields = [ndimage.gaussian_filter(rng.normal(size=(BLOCK, BLOCK)), 8) for _ in range(3)]
    blocks = [np.uint8(np.clip(128 + 900 * field, 0, 255)) for field in fields]
    across = -(-size // BLOCK)
    numbers = np.arange(across**2) % len(blocks)
    path = folder / f"image.{suffix}"
    if suffix == "tif":
        tiles = (blocks[number] for number in numbers)
        options = {"tile": (BLOCK, BLOCK), "compression": "zlib"}
        tifffile.imwrite(path, tiles, shape=(size, size), dtype=np.uint8, **options)
    else:
        rows = numbers.reshape(across, across)
        whole = np.block([[blocks[number] for number in row] for row in rows])
        Image.fromarray(whole[:size, :size]).save(path)


def blurring_network(filters: int):
    """Two convolutions that blur and scale."""
    import keras

    images = keras.Input((None, None, 1))
    x = keras.layers.Rescaling(1 / 20, -128 / 20)(images)
    x = keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer="ones")(x)
    scale = keras.initializers.Constant(1 / 81 / filters)
    logits = keras.layers.Conv2D(1, 3, padding="same", kernel_initializer=scale)(x)
    return keras.Model(images, logits)


def write_run(folder: Path, filters: int) -> None:
    """A run of that network."""
    from maskmake.network.networks import save_network
    from maskmake.runtime.files import write_json

    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from saved_runs import record

    network = blurring_network(filters)
    (folder / "fold0").mkdir()
    save_network(network, folder / "fold0" / "model.keras")
    write_json(folder / "fold0" / "training.json", record(network, 1, "uint8", [1.0], [0.0]))
    decision = {"threshold": 0.4, "min_object": 60, "min_hole": 60, "upper": 0.9, "min_seed": 30}
    write_json(folder / "decision.json", decision)


def segment(folder: Path, filters: int) -> None:
    """Segment the image of the folder."""
    from maskmake.network.device import select_device

    select_device("tensorflow", 0, os.devnull)
    from maskmake.network import saved_networks
    from maskmake.network.settings import PredictSettings
    from maskmake.predict.segmentation import segment_images

    write_run(folder, filters)
    # A model is read into the network that its settings name; here it is another one.
    saved_networks.build_network = lambda *_, **__: blurring_network(filters)
    settings = PredictSettings("auto", 0.5, tta=False)
    (image,) = folder.glob("image.*")
    paths = [str(image)], [folder / "fold0"], folder / "decision.json"
    segment_images(*paths, settings, folder / "masks")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="+", type=int, help="height and width in pixels")
    parser.add_argument("--filters", type=int, default=16, help="of the first convolution")
    parser.add_argument("--format", default="tif", choices=("tif", "png", "jpg"))
    options = parser.parse_args()
    print(f"{'size':>7} {'seconds':>8} {'peak':>7} {'own':>7} {'mapped':>7}  MiB", flush=True)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            write_image(Path(folder), size, options.format)
            command = [sys.executable, __file__, "--segment", folder, str(options.filters)]
            start = time.monotonic()
            with Path(folder, "log").open("w") as log:
                process = subprocess.Popen(command, stderr=log)
                most = peaks(process)
            if process.returncode:
                sys.exit(Path(folder, "log").read_text())
        seconds = f"{time.monotonic() - start:8.0f} "
        print(f"{size:7} {seconds}" + " ".join(f"{most[kind]:7.0f}" for kind in KINDS), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--segment"]:
        segment(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
