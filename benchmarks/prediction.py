"""Speed of a prediction by maskmake against the bare ``predict`` of the same network, in turns.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/prediction.py path/to/model.keras

- ours: images of noise from memory to probabilities: tiles cut, batched, flipped and turned,
  predicted, weighted, put together.
- bare: ``network.predict`` on the same tiles, flipped and turned, that are in memory already.

They take turns, and each figure is compared with its neighbour of the same round. Printed: tiles a
second of either, median over the rounds, and the median ratio.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--images", type=int, default=7)
    parser.add_argument("--size", type=int, default=512, help="their height and width in pixels")
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    from maskmake.network.device import select_device

    select_device(options.backend, options.gpu, os.devnull)
    from maskmake.data.pixel_store import image_bands
    from maskmake.network.saved_networks import load_network
    from maskmake.network.settings import PredictSettings
    from maskmake.predict.tiling import ImageStream, Predictor, predict_bands

    network, _ = load_network(options.model.parent)
    shape, channels = (options.size, options.size), network.input_shape[-1]
    rng = np.random.default_rng(1)
    pixels = shape if channels == 1 else (*shape, channels)
    images = [rng.integers(0, 256, pixels, np.uint8) for _ in range(options.images)]
    settings = PredictSettings(options.tile, 0.5, True)
    predictor = Predictor([network], [shape], settings)

    def ours() -> None:
        sources = [ImageStream(i, shape, image_bands(image)) for i, image in enumerate(images)]
        for _ in predict_bands(predictor, sources):
            pass

    given, call = [], network.predict_on_batch
    network.predict_on_batch = lambda tiles: given.append(tiles.copy()) or call(tiles)
    ours()
    network.predict_on_batch = call
    tiles = np.concatenate(given)
    tiles = tiles[tiles.any(axis=(1, 2, 3))]  # without the empty ones that fill the last batch

    def bare() -> None:
        network.predict(tiles, batch_size=predictor.batch, verbose=0)

    seconds = {ours: [], bare: []}
    bare()
    for _ in range(options.rounds):
        for turn, taken in seconds.items():
            start = time.perf_counter()
            turn()
            taken.append(time.perf_counter() - start)
    for turn, taken in seconds.items():
        print(f"{turn.__name__}: {len(tiles) / statistics.median(taken):.2f} tiles/s")
    pairs = zip(seconds[ours], seconds[bare], strict=True)
    print(f"ours is {statistics.median(b / a for a, b in pairs):.3f} x bare")


if __name__ == "__main__":
    main()
