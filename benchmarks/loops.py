"""The training loops that ``speed.py`` compares, each in a process of its own.

A loop runs steps of equal work and calls ``turn`` after each of them with a function that waits
for its end. At the end of a block of steps ``turn`` prints its seconds and waits for a line on
standard input, so that loops of several processes take turns and never run side by side.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

Turn = Callable[[Callable[[], object]], None]


def times() -> tuple[float, float]:
    """Seconds on the clock, and of processors spent by this process."""
    return time.perf_counter(), time.process_time()


def take_turns(block: int) -> Turn:
    """The function to call after each step; the first step, which compiles, is a block alone."""
    output, steps, start = os.fdopen(os.dup(1), "w"), 0, times()
    os.dup2(2, 1)  # what the libraries print must not be read as a time

    def turn(wait: Callable[[], object]) -> None:
        nonlocal steps, start
        if steps % block == 0:
            wait()
            elapsed = (now - then for now, then in zip(times(), start, strict=True))
            print(*elapsed, file=output, flush=True)
            if not sys.stdin.readline():
                os._exit(0)  # speed.py has seen enough, and threads of the loop may still run
            start = times()
        steps += 1

    return turn


def ours(folder: Path, turn: Turn, options: argparse.Namespace) -> None:
    """``train_fold`` with all that it does."""
    from maskmake.train import training

    class Progress(training.Progress):
        def on_train_batch_begin(self, batch, logs=None):
            # Not at the end of a step: other threads report it while this one starts the next.
            if batch:
                turn(partial(self._wait_for, batch))

        def _wait_for(self, steps: int) -> None:
            while self._step < steps:
                time.sleep(0.002)

    training.Progress = Progress  # train_fold itself takes no callbacks
    names = ("model.keras", "history.csv", "training.json", "augmented.npy")
    with tempfile.TemporaryDirectory(dir=folder) as results:
        outputs = {name.split(".")[0]: Path(results) / name for name in names}
        training.train_fold(loop_settings(options), 0, "code", input_paths(folder), outputs)


def bare(folder: Path, turn: Turn, options: argparse.Namespace) -> None:
    """The network alone on one batch that is on the device."""
    import keras

    from maskmake.network.device import resolve_precision, uses_xla
    from maskmake.runtime.files import read_json
    from maskmake.train.engine import network_of_run
    from maskmake.train.losses import LOSSES
    from maskmake.train.optimizers import build_optimizer

    settings, plan = loop_settings(options), read_json(input_paths(folder)["plan"])
    network = network_of_run(settings, plan, resolve_precision(settings.precision))
    network.compile(
        build_optimizer(settings), LOSSES[settings.loss], jit_compile=uses_xla(settings.backend)
    )
    data = keras.tree.map_structure(keras.ops.convert_to_tensor, first_batch(folder, options.batch))
    first = network.train_on_batch(*data)
    turn(partial(float, first))
    if settings.backend == "jax":
        state = network._get_jax_state(*[True] * 4, purge_model_variables=True)
        while True:
            logs, state = network.train_function(state, itertools.repeat(data))
            turn(partial(float, logs["loss"]))
    while True:
        logs = network.train_function(itertools.repeat(data))
        turn(partial(float, logs["loss"]))


def first_batch(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images, 0 to 255, and labels, 0 or 1, each (count, H, W, 1) float32."""
    images, labels = (
        np.stack(
            [np.asarray(Image.open(path)) for path in sorted((folder / kind).glob("*.png"))[:count]]
        )
        for kind in ("image", "label")
    )
    return images[..., None].astype("float32"), (labels[..., None] > 127).astype("float32")


# Version 4 of the tutorial; see config/article.yaml.
ARTICLE_AUGMENTATION = {
    "rotation_range": 0.05,
    "width_shift_range": 0.05,
    "height_shift_range": 0.05,
    "shear_range": 0.05,
    "zoom_range": 0.05,
    "horizontal_flip": True,
    "fill_mode": "nearest",
}


def png_batches(folder: Path, options: argparse.Namespace, augmentation: dict):
    """Endless batches of images and labels, 0 to 1, read from their PNG files each time."""
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    flows = [
        ImageDataGenerator(**augmentation, rescale=1 / 255).flow_from_directory(
            folder,
            target_size=(options.patch, options.patch),
            color_mode="grayscale",
            classes=[kind],
            class_mode=None,
            batch_size=options.batch,
            seed=1,
        )
        for kind in ("image", "label")
    ]
    for images, labels in zip(*flows, strict=True):
        assert len(images) == options.batch, "the files are a multiple of the batch"
        yield images, (labels > 0.5).astype("float32")


def article(folder: Path, turn: Turn, options: argparse.Namespace) -> None:
    """The tutorial's loop: a generator over PNG files, ``fit``, float32, Adam."""
    import keras

    from maskmake.network.networks import build_network, save_network

    network = build_network(
        "Unet", "resnet34", False, 1, options.patch, scale=[1.0], offset=[0.0], precision="float32"
    )
    save_network(network, folder / "article.keras")
    network = keras.models.load_model(folder / "article.keras")  # of Keras' own layers
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-4), bce, metrics=["accuracy"])
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda _, logs: turn(partial(float, logs["loss"]))
    )
    batches = png_batches(folder, options, ARTICLE_AUGMENTATION)
    network.fit(batches, steps_per_epoch=options.steps, callbacks=[watch])


def pytorch(folder: Path, turn: Turn, options: argparse.Namespace) -> None:
    """The network of segmentation-models-pytorch alone on one batch on the device."""
    import segmentation_models_pytorch
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    network = segmentation_models_pytorch.Unet(
        "resnet34", encoder_weights=None, in_channels=1, classes=1
    )
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    shape = (options.batch, 1, options.patch, options.patch)
    images = torch.rand(shape, device=device).to(memory_format=torch.channels_last)
    labels = (torch.rand(shape, device=device) > 0.5).float()
    while True:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=options.precision == "bfloat16"):
            logits = network(images)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        loss.backward()
        optimizer.step()
        turn(partial(float, loss))


def loop_settings(options: argparse.Namespace):
    """Settings of a training of one epoch, those of ``--train`` laid over the defaults."""
    return train_settings(
        patch=options.patch,
        batch=options.batch,
        steps=options.steps,
        epochs=1,
        precision=options.precision,
        backend=options.backend,
        **options.train,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=["ours", "bare", "article", "pytorch"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend")
    parser.add_argument("--precision")
    parser.add_argument("--gpu", type=int)
    parser.add_argument("--train", type=json.loads)
    for name in ("patch", "batch", "block", "steps"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    turn = take_turns(options.block)
    if options.loop != "pytorch":
        from dataset import input_paths, train_settings

        from maskmake.network import device

        if options.loop == "article":  # TensorFlow as it comes
            os.environ["KERAS_BACKEND"] = "tensorflow"
            # But it must leave memory to the other loops on the GPU.
            os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
            if options.gpu == 0:
                os.environ["CUDA_VISIBLE_DEVICES"] = ""
        else:
            # The loops take turns on one GPU, which each of them would keep for itself.
            device.reserve_gpus = lambda count: None
            device.select_device(options.backend, options.gpu, os.devnull)
    globals()[options.loop](options.folder, turn, options)
