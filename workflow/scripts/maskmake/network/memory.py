"""Whether a batch fits into memory: estimated before a training, and explained if it did not."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from maskmake.network.device import describe_device
from maskmake.network.settings import TrainSettings, patch_step
from maskmake.runtime.errors import UserError
from maskmake.runtime.memory import available_memory

# Peak memory of a step on a processor was 0.9 to 1.8 times the outputs of all layers (U-Nets with
# ResNet-18 and -34 and EfficientNet-B0, TensorFlow and JAX): with less than that a batch cannot
# fit, with more it does.
LEAST, MOST = 0.9, 2.0
# In the name or the text of what TensorFlow, JAX, PyTorch and C++ raise.
SIGNS = ("resourceexhausted", "resource_exhausted", "outofmemory", "out of memory", "bad_alloc")


def output_bytes(network: keras.Model, batch: int, patch: int) -> int:
    """Bytes of the outputs of all layers, which training keeps for the gradients."""
    total = 0
    for model in [network, *(part for part in network.layers if isinstance(part, keras.Model))]:
        layers = [part for part in model.layers if not isinstance(part, keras.Model)]
        images = model.inputs[0]
        outputs = keras.Model(images, [layer.output for layer in layers])
        shapes = outputs.compute_output_shape((batch, patch, patch, images.shape[-1]))
        for layer, shape in zip(layers, shapes, strict=True):
            total += int(np.prod(shape)) * (2 if layer.compute_dtype == "bfloat16" else 4)
    return total


def peak_memory() -> int:
    """Bytes that this process has held in memory at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # bytes there, kilobytes elsewhere


def check_batch(network: keras.Model, settings: TrainSettings) -> None:
    """Refuse a batch that cannot fit into the memory of the processor.

    Later would be too late: Linux kills a process that takes more memory than there is, without
    an error that could be explained.

    Raises:
        UserError: naming what is needed, what is free, and a batch that fits.
    """
    available = available_memory()
    if describe_device() != "CPU":
        return
    one = output_bytes(network, 1, settings.patch)
    if LEAST * one * settings.batch <= available:
        return
    fits = settings.batch
    while fits and MOST * one * fits > available:
        fits //= 2
    raise _does_not_fit(
        settings,
        f"need at least {LEAST * one * settings.batch / 2**30:.0f} GiB of memory, and "
        f"{available / 2**30:.0f} are free",
        fits,
    )


def is_exhausted(error: Exception) -> bool:
    """Whether an error says that memory is exhausted."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in SIGNS)


@contextmanager
def explain_exhaustion(settings: TrainSettings) -> Iterator[None]:
    """Turn the many errors of exhausted memory into one sentence."""
    try:
        yield
    except Exception as error:
        if not is_exhausted(error):
            raise
        device = describe_device()
        there = f"do not fit into the memory of the {device}"
        raise _does_not_fit(settings, there, settings.batch // 2) from error


def _does_not_fit(settings: TrainSettings, reason: str, batch: int) -> UserError:
    ways, step = [], patch_step(settings.architecture)
    if batch:
        ways.append(f"train.batch to {batch}")
    if settings.patch > step:
        ways.append(f"train.patch to a smaller multiple of {step}")
    remedy = (
        f"set {' or '.join(ways)}" if ways else "set a smaller train.encoder or take more memory"
    )
    return UserError(
        f"train.batch: {settings.batch} patches of {settings.patch} x {settings.patch} pixels "
        f"{reason}; {remedy}."
    )
