"""The NVIDIA GPUs of this machine, and the lock that gives each of them to one job at a time."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from maskmake.runtime.locks import Process, open_lock, try_to_lock, write_holder
from maskmake.runtime.log import logger

# TMPDIR may differ between two users or two jobs, and then neither would see the other's lock.
LOCK_FOLDER = Path("/tmp")
SECONDS_BETWEEN_TRIES = 1.0
# Drivers of GPUs that nvidia-smi never lists, and those of NVIDIA where that tool is missing: in
# containers, on Jetson boards, in the Windows Subsystem for Linux.
OTHER_DRIVERS = ("/dev/kfd",)
NVIDIA_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap")
MIG_CAPABILITY = 8.0  # the lowest of all GPUs that can be split into MIG devices
BFLOAT16_CAPABILITY = 8.0  # of the first NVIDIA GPUs that multiply in bfloat16 (Ampere)


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        uuid: as nvidia-smi has it; of a part of a GPU, as CUDA_VISIBLE_DEVICES has it.
        capability: for computing, such as 9.0; 0 where nvidia-smi does not say.
        driver: its version.
        name: of the product.
        memory: in bytes; None where the GPU has none of its own, or is a part of one.
    """

    uuid: str
    capability: float
    driver: str
    name: str
    memory: int | None = None


def visible_gpus() -> list[Gpu]:
    """The GPUs that ``nvidia-smi`` lists and CUDA_VISIBLE_DEVICES, where it is set, allows."""
    lines = _query("uuid,compute_cap,driver_version,memory.total,name")
    gpus = [
        Gpu(uuid, _number(capability), driver, name, _bytes(memory))
        for uuid, capability, driver, memory, name in (line.split(", ", 4) for line in lines)
    ]
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if allowed is None else _allowed(gpus, allowed)


def gpu_memory() -> int | None:
    """Bytes of the visible GPU with the least memory; None where none says how much it has."""
    return min((gpu.memory for gpu in visible_gpus() if gpu.memory is not None), default=None)


def multiply_bfloat16() -> bool:
    """Whether there are visible GPUs, and all of them multiply in bfloat16."""
    return min((gpu.capability for gpu in visible_gpus()), default=0.0) >= BFLOAT16_CAPABILITY


def _number(text: str) -> float:
    """Of what ``nvidia-smi`` says, 0 for ``[N/A]`` or ``[GPU requires reset]``."""
    return 0.0 if text.startswith("[") else float(text)


def _bytes(mebibytes: str) -> int | None:
    """Of what ``nvidia-smi`` says, which may be ``[N/A]``."""
    return 2**20 * int(mebibytes) if mebibytes.isdigit() else None


def _query(fields: str) -> list[str]:
    """The line of each GPU, none where ``nvidia-smi`` is not there or fails."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        logger.warning("nvidia-smi: %s", (done.stdout + done.stderr).strip())
        return []
    return done.stdout.splitlines()


def _allowed(gpus: list[Gpu], allowed: str) -> list[Gpu]:
    """GPUs by position, UUID or its beginning; as in CUDA, the first unknown name ends the list."""
    found = []
    for name in allowed.split(","):
        name = name.strip()
        if name.startswith("MIG-"):
            matches = [
                gpu._replace(uuid=name, capability=MIG_CAPABILITY, memory=None) for gpu in gpus
            ]
        elif name.isdigit():
            matches = gpus[int(name) :]
        else:
            matches = [gpu for gpu in gpus if name and gpu.uuid.startswith(name)]
        if not matches:
            break
        found.append(matches[0])
    return found


def are_all_listed() -> bool:
    """Whether no backend can find a GPU that ``visible_gpus`` does not list.

    On other systems than Linux nothing shows that.
    """
    drivers = [*OTHER_DRIVERS]
    if shutil.which("nvidia-smi") is None:
        drivers += NVIDIA_DRIVERS
    return sys.platform == "linux" and not any(Path(driver).exists() for driver in drivers)


def granted_gpus(granted: int, setting: int | str) -> int:
    """GPUs that a job is to use.

    Args:
        granted: what Snakemake lets it have: what it asked for, or 0 with ``--resources gpu=0``.
        setting: ``train.gpu``, a number or ``auto``.

    Returns:
        ``granted``; but 0 for ``auto`` on a machine that has no GPU, which the log says.
    """
    if setting == "auto" and granted and not visible_gpus():
        logger.info("train.gpu: auto; nvidia-smi lists no GPU here, so the processor is used")
        return 0
    return granted


def reserve_gpus(count: int) -> None:
    """Take GPUs for this process until it ends, and hide all others from the backend.

    Waits while other jobs of this workflow, of any user, hold too many of them. The locks are
    ``flock``, so a killed process releases them. Where fewer than ``count`` are listed, nothing is
    taken: what the backend then sees decides.
    """
    gpus = visible_gpus()
    if len(gpus) < count:
        return
    locks = _try_to_lock(gpus, count)
    if locks is None:
        logger.info("waiting for %d GPU%s: %s", count, "s" if count > 1 else "", _holders(gpus))
    while locks is None:
        time.sleep(SECONDS_BETWEEN_TRIES)
        locks = _try_to_lock(gpus, count)
    for lock in locks.values():
        with contextlib.suppress(OSError):  # on a full disk: it is held without a name, too
            write_holder(lock, Process.current().text)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.uuid for gpu in locks)


def _try_to_lock(gpus: list[Gpu], count: int) -> dict[Gpu, int] | None:
    """Lock ``count`` GPUs, or none: two jobs that each held some could wait for ever.

    Returns:
        The open lock file of each GPU. Closing it, as the end of the process does, releases the
        lock.
    """
    locks = {}
    for gpu in gpus:
        lock = open_lock(_lock_file(gpu), shared=True)
        if not try_to_lock(lock):
            os.close(lock)
            continue
        locks[gpu] = lock
        if len(locks) == count:
            return locks
    for lock in locks.values():
        os.close(lock)
    return None


def _lock_file(gpu: Gpu) -> Path:
    return LOCK_FOLDER / f"maskmake-{gpu.uuid.replace('/', '-')}.lock"


def _holders(gpus: list[Gpu]) -> str:
    return ", ".join(f"{gpu.uuid} is held by {_holder(gpu)}" for gpu in gpus)


def _holder(gpu: Gpu) -> Process | str:
    lock = open_lock(_lock_file(gpu), shared=True)
    try:
        return Process.read(lock) or "another process"
    finally:
        os.close(lock)
