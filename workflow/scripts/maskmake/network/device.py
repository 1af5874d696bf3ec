"""The Keras backend and its device: chosen before Keras is imported, and what follows from them.

Keras reads its backend when it is imported, so the functions here import it when they are called.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path

from maskmake.network.compile_cache import CPU_INFO, keep_compiled
from maskmake.runtime.errors import UserError
from maskmake.runtime.gpus import multiply_bfloat16, reserve_gpus, visible_gpus
from maskmake.runtime.log import lines_to, logger

M_MMAP_MAX, M_TOP_PAD = -4, -2  # of glibc's malloc.h
KEPT_BYTES = 2**30
OLDEST_DRIVER = (525, 60)  # for the libraries of CUDA 12, says NVIDIA's table of its releases
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def select_device(backend: str, gpu: int, log_file: str) -> None:
    """Set what Keras and its backend read from the environment, start them, and take the GPUs.

    With more than one GPU, Keras gives each an equal part of every batch.

    Args:
        backend: ``tensorflow``, ``jax`` or ``torch``.
        gpu: GPUs granted to the job; 0 hides them and so asks for the processor.
        log_file: takes what the backend prints as it starts, should it fail.

    Raises:
        UserError: the backend is not installed, or sees fewer GPUs.
    """
    os.environ["KERAS_BACKEND"] = backend
    # Take GPU memory as it is needed, as PyTorch does, so that a neighbour on the GPU survives.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Operations that run side by side add up gradients in the order in which they happen to end;
    # one after the other, each on all processors, they do not.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    # oneDNN's convolutions, which TensorFlow leaves off on processors with AVX2 alone: a training
    # step then takes half as long (1.1 instead of 2.1 seconds, ResNet-18 U-Net, 8 patches of
    # 128 x 128, two cores).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Errors alone of what TensorFlow and XLA say later on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if gpu == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
        _keep_freed_memory()
    else:
        reserve_gpus(gpu)
    keep_compiled(backend, gpu)
    if backend != "tensorflow":
        sys.meta_path.insert(0, _HiddenTensorFlow())
    logger.info("loading %s", NAMES[backend])
    with _native_stderr_until_it_works(log_file):
        try:
            import keras
        except ModuleNotFoundError as error:
            raise UserError(
                f"train.backend: {backend}, but {error.name} is not installed; install it "
                "into .venv or set train.backend to tensorflow."
            ) from error
        found = _count_gpus()
        if found < gpu:
            raise _missing_gpus(gpu, found, backend)
        if backend == "tensorflow" and gpu == 0:
            _add_up_in_one_order()
    if gpu > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())


class _HiddenTensorFlow(MetaPathFinder):
    """Lets Keras find no TensorFlow, which it would import as soon as it is installed.

    A job on another backend would wait seconds for it, hold its memory and show its words.
    """

    def find_spec(self, fullname, path, target=None):
        if fullname == "tensorflow":
            raise ModuleNotFoundError("left out, since Keras has another backend", name=fullname)


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensor.

    It would map each large tensor by itself and give it back after use, and the step then waits
    for the kernel to hand out and clear tens of thousands of pages: 14 % of its time (3.4 instead
    of 2.9 seconds, 4 patches of 256 x 256 on two cores with oneDNN), and a third without oneDNN.
    A threshold of size does not prevent it: threads other than the first one have small heaps.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc, which is Linux
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TOP_PAD, KEPT_BYTES)


def _add_up_in_one_order() -> None:
    """Keep TensorFlow's graph optimizer from sums whose order differs from start to start.

    Where memory is highest, it replaces a sum of three tensors or more by one variable to which
    each of them is added, in an order that nothing fixes. TensorFlow has no switch of its own for
    that, but leaves it out where XLA may compile parts of any graph. On a processor XLA then still
    compiles none, unless ``TF_XLA_FLAGS`` has ``--tf_xla_cpu_global_jit``.
    """
    import tensorflow as tf

    tf.config.optimizer.set_jit("autoclustering")


def _count_gpus() -> int:
    """Number of GPUs that the Keras backend sees."""
    import keras

    if keras.backend.backend() == "torch":  # whose devices Keras cannot list
        import torch

        return torch.cuda.device_count()
    return sum(not name.startswith("cpu") for name in keras.distribution.list_devices())


def _missing_gpus(gpu: int, found: int, backend: str) -> UserError:
    gpus = visible_gpus()
    listed = len(gpus)
    if any(_numbers(each.driver) < OLDEST_DRIVER for each in gpus):
        oldest = ".".join(map(str, OLDEST_DRIVER))
        remedy = f"update the driver {gpus[0].driver} to {oldest} or later, which CUDA 12 needs"
    elif listed >= gpu:
        remedy = f"give {backend} its CUDA libraries (for tensorflow: make setup GPU=1)"
    elif found:
        remedy = f"set train.gpu to {found}"
    else:
        remedy = "fix the driver or CUDA_VISIBLE_DEVICES"
    plural = "s" if gpu > 1 else ""
    return UserError(
        f"train.gpu asks for {gpu} GPU{plural}, but {backend} sees {found or 'none'} (nvidia-smi "
        f"lists {listed or 'none'}); set train.gpu to 0 or add --resources gpu=0 to use the "
        f"processor, or {remedy}."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def device_count() -> int:
    """Number of devices that share each batch."""
    import keras

    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.num_model_replicas


def shard(batch):
    """The same tensor, laid out so that each device holds an equal part of its first axis.

    XLA infers from its inputs which part of a batch a device computes. For the gathers of the
    augmentation it infers the whole batch, and so it would for the rest of the step.
    """
    import keras

    distribution = keras.distribution.distribution()
    if distribution is None:
        return batch
    return keras.distribution.distribute_tensor(batch, distribution.get_data_layout(batch.shape))


def device_kind() -> str:
    """``CPU``, ``GPU``, or ``2 GPUs`` and so on.

    What is kept for a resumed training goes by this, so that it may go on with another card.
    """
    if not has_gpu():
        return "CPU"
    return "GPU" if device_count() == 1 else f"{device_count()} GPUs"


def describe_device() -> str:
    """What the job runs on: ``CPU``, or the name of its card, as in ``2 x NVIDIA A40``."""
    kind, names = device_kind(), sorted({gpu.name for gpu in visible_gpus()})
    if kind == "CPU" or not names:
        return kind
    return kind.replace(" GPUs", " x GPU").replace("GPU", " and ".join(names))


def has_gpu() -> bool:
    """Whether the Keras backend sees a GPU."""
    return _count_gpus() > 0


def uses_xla(backend: str) -> bool:
    """Whether XLA compiles the training step.

    JAX has no other way. With TensorFlow on a GPU it is four times faster (555 against 141 images
    a second on an H100, ResNet-34 U-Net, 512 x 512, bfloat16); on a processor it is slower (1.22
    against 0.60 seconds a step of 4 patches of 256 x 256 on two cores).
    """
    return backend == "jax" or (backend == "tensorflow" and has_gpu())


def fuses_operations() -> bool:
    """Whether the Keras backend compiles many small operations into few.

    TensorFlow without XLA does not, and every operation reads and writes its whole tensors.
    """
    import keras

    backend = keras.backend.backend()
    return backend != "tensorflow" or uses_xla(backend)


def resolve_precision(precision: str) -> str:
    """``float32`` or ``bfloat16`` for ``auto``: bfloat16 where the device multiplies in it."""
    if precision != "auto":
        return precision
    if has_gpu():
        multiplies = multiply_bfloat16()
    else:
        info = CPU_INFO.read_text() if CPU_INFO.exists() else ""
        multiplies = "amx_bf16" in info or "avx512_bf16" in info
    return "bfloat16" if multiplies else "float32"


@contextmanager
def _native_stderr_until_it_works(path: str) -> Iterator[None]:
    """Send standard error to a file, including what compiled code writes; undo it on success.

    TensorFlow reports a missing GPU as an error, several times, and no setting silences it. Where
    the start fails or the process dies, these lines are what explains it.
    """
    terminal = os.dup(2)
    with Path(path).open("ab") as log:
        length = log.tell()
        os.dup2(log.fileno(), 2)
        try:
            with lines_to(terminal):
                yield
            if Path(path).is_file():  # and not the null device
                log.truncate(length)
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
