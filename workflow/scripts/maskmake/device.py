"""Choice of Keras backend and device, made before Keras is imported."""

import os


def select_device(backend: str, gpu: int) -> None:
    """Set the environment that Keras and its backend read when they are imported.

    Args:
        backend: ``tensorflow``, ``jax`` or ``torch``.
        gpu: GPUs granted to the job; 0 hides them and so asks for the processor.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    # Take GPU memory as it is needed, so that a neighbour on the same GPU survives.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Operations that run side by side add up gradients in the order in which they happen to end;
    # one after the other, each on all processors, the same training gives the same bits.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    if gpu == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
