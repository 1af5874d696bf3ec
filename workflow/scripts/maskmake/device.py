"""Choice of Keras backend and device, made before anything else imports Keras."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskmake.log import UserError


def select_device(backend: str, gpu: int, log_file: str) -> None:
    """Set what Keras and its backend read from the environment, and start them.

    Args:
        backend: ``tensorflow``, ``jax`` or ``torch``.
        gpu: GPUs granted to the job; 0 hides them and so asks for the processor.
        log_file: takes what the backend prints as it starts.

    Raises:
        UserError: the backend is not installed.
    """
    os.environ["KERAS_BACKEND"] = backend
    # Take GPU memory as it is needed, so that a neighbour on the same GPU survives.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Operations that run side by side add up gradients in the order in which they happen to end;
    # one after the other, each on all processors, the same training gives the same bits.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    if gpu == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with _native_stderr_in(log_file):
        try:
            import keras
        except ModuleNotFoundError as error:
            raise UserError(
                f"train.backend: {backend}, but {error}; expected an installed backend; install it "
                "into .venv or set train.backend to tensorflow."
            ) from error
        keras.distribution.list_devices()


@contextmanager
def _native_stderr_in(path: str) -> Iterator[None]:
    """Send standard error to a file, what compiled code writes included.

    TensorFlow reports a missing GPU as an error, several times, and no setting silences it.
    """
    terminal = os.dup(2)
    with Path(path).open("ab") as log:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
