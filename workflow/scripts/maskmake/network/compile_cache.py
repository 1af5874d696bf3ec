"""What XLA compiled and tuned for a device, kept for the later jobs of the same user.

Compiling a training step takes TensorFlow 100 seconds for a GPU (U-Net with ResNet-34). All folds,
runs, resumed trainings and predictions share one folder of the user. Whoever can write there can
run code in the jobs that read it.
"""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

from maskmake.runtime.cache_folder import private_folder
from maskmake.runtime.errors import UserError
from maskmake.runtime.gpus import visible_gpus
from maskmake.runtime.log import logger

CPU_INFO = Path("/proc/cpuinfo")
AUTOTUNE_FLAG = "--xla_gpu_per_fusion_autotune_cache_dir"
TENSORFLOW_FLAG = "--tf_xla_persistent_cache_directory"


def keep_compiled(backend: str, gpu: int) -> None:
    """Let this job reuse what earlier ones compiled. A folder that the user chose stays.

    To be called before the backend is imported and after the GPUs are taken.

    Args:
        backend: ``tensorflow``, ``jax`` or ``torch``.
        gpu: GPUs of the job; 0 is the processor, for which TensorFlow does not use XLA.
    """
    if backend == "torch" or (backend == "tensorflow" and gpu == 0):
        return
    if backend == "jax":  # which keeps the tuning there as well
        flags = {"JAX_COMPILATION_CACHE_DIR": ""}
    else:
        flags = {"XLA_FLAGS": AUTOTUNE_FLAG, "TF_XLA_FLAGS": TENSORFLOW_FLAG}
    folder = None
    for variable, flag in flags.items():
        value = os.environ.get(variable, "")
        if value and flag in value:
            continue
        folder = folder or _folder_of_device(backend)
        if folder is None:
            return
        os.environ[variable] = f'{value} {flag}="{folder}"' if flag else str(folder)
    if folder and backend == "jax":
        # It would leave out 200 small programs that each start compiles before its first step.
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _folder_of_device(backend: str) -> Path | None:
    """The folder for this version, processor, driver and GPU; made if need be.

    XLA looks neither at its own version when it reads what it tuned, nor JAX at the processor, nor
    TensorFlow at the GPU.
    """
    info = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    processor = {line for line in info if line.startswith(("model name", "flags", "Features"))}
    gpus = {f"{gpu.name} {gpu.driver}" for gpu in visible_gpus()}
    digest = hashlib.sha256("\n".join(sorted(processor | gpus)).encode()).hexdigest()[:8]
    try:
        folder = private_folder() / f"{backend}-{version(backend)}-{digest}"
        folder.mkdir(exist_ok=True)
    except (OSError, RuntimeError, UserError) as error:  # RuntimeError: a user without a home
        logger.warning(
            "%s; going on without what earlier jobs compiled, which costs a GPU a minute or two.",
            error,
        )
        return None
    return folder
