"""Speed of a prediction by maskmake against the bare ``predict`` of the same network, in turns.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/prediction.py

takes the U-Net with ResNet-34, untrained.

- ours: images of noise from memory to probabilities: tiles cut, batched, flipped and turned,
  predicted, weighted, put together.
- bare: ``network.predict`` on as many tiles, flipped and turned, that are in memory already.
- on the device: the network alone, a batch that is on the device again and again; what the device
  can do at most.

They take turns, and each figure is compared with its neighbour of the same round. Printed: tiles a
second of each, median over the rounds, and the median ratio.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np

from maskmake.runtime.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--images", type=int, default=7)
    parser.add_argument("--size", type=int, default=512, help="their height and width in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the same figures")
    options = parser.parse_args()

    from maskmake.network.device import resolve_precision, select_device, uses_xla

    select_device(options.backend, options.gpu, os.devnull)
    import keras

    from maskmake.data.pixel_store import image_bands
    from maskmake.network.networks import build_network
    from maskmake.network.settings import PredictSettings
    from maskmake.network.tiles import tile_count
    from maskmake.predict.mean_logits import SYMMETRIES
    from maskmake.predict.predictor import Predictor
    from maskmake.predict.tiling import ImageStream, predict_bands

    network = build_network(
        "Unet",
        "resnet34",
        False,
        1,
        256,
        scale=[1 / 60],
        offset=[-2.0],
        precision=resolve_precision("auto"),
    )
    network.compile(jit_compile=uses_xla(options.backend))
    shape = (options.size, options.size)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (options.images, *shape), np.uint8)
    settings = PredictSettings("auto", 0.5, True)
    shapes = [shape] * options.images
    predictor = Predictor([network], shapes, settings)
    side, batch = predictor.side, predictor.batch
    count = tile_count(shapes, side, settings.overlap) * SYMMETRIES
    tiles = rng.integers(0, 256, (count, side, side, 1)).astype(np.float32)
    on_device = keras.ops.convert_to_tensor(tiles[:batch])

    def ours() -> None:
        sources = [ImageStream(i, shape, image_bands(image)) for i, image in enumerate(images)]
        for _ in predict_bands(predictor, sources):
            pass

    def bare() -> None:
        network.predict(tiles, batch_size=batch, verbose=0)

    def repeated() -> None:
        predict_again(network, on_device, -(-count // batch))

    ways = {"ours": ours, "bare": bare, "on the device": repeated}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    figures: dict[str, float] = {
        name: count / statistics.median(taken) for name, taken in seconds.items()
    }
    for name, figure in figures.items():
        print(f"{name}: {figure:.2f} tiles/s ({side} x {side}, {batch} a batch)")
    pairs = zip(seconds["ours"], seconds["bare"], strict=True)
    figures["ratio"] = statistics.median(b / a for a, b in pairs)
    print(f"ours is {figures['ratio']:.3f} x bare")
    if options.json:
        write_json(options.json, {**figures, "seconds": seconds, "side": side, "batch": batch})


def predict_again(network, tiles, times: int) -> None:
    """Predict a batch several times without waiting in between, and wait for the last one."""
    import keras

    network.make_predict_function()
    if keras.backend.backend() == "jax":  # its variables go in and come out
        state = network._get_jax_state(trainable_variables=True, non_trainable_variables=True)
        for _ in range(times):
            found, state = network.predict_function(state, iter([(tiles,)]))
        network._jax_state = dict(
            zip(("trainable_variables", "non_trainable_variables"), state, strict=True)
        )
        network._jax_state_synced = False
        network.jax_state_sync()
    else:
        for _ in range(times):
            found = network.predict_function([(tiles,)])
    keras.ops.convert_to_numpy(found[0, 0, 0])


if __name__ == "__main__":
    main()
