"""What a killed training needs to go on, written as epochs end."""

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from maskmake.runtime.files import atomic
from maskmake.runtime.log import logger

# What NumPy and zipfile raise on a file that is missing, truncated or has wrong bytes; found by
# damaging one at random.
DAMAGE = (
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
)

# Of the time of a training, for writing states at most: on a GPU an epoch may take two seconds, and
# its state is a third of a gigabyte.
WRITING_SHARE = 0.05


def best_row(history: list[dict]) -> dict:
    """Row of the epoch with the lowest validation loss; there is one epoch at least."""
    return min(history, key=lambda row: row["val_loss"])


class State:
    """What a killed training needs to go on, in a folder of its own beside the outputs.

    A file for an epoch: every variable and the history so far. Where writing is slow beside an
    epoch, epochs are left out. The last two files are kept, in case the last one is damaged, and
    those of the epochs that were the best at either time.

    The folder's name is a hash of settings, code and data, so a training with others never
    resumes from it. Snakemake does not know the folder and leaves it alone when a job fails.
    """

    def __init__(self, folder: Path, key: dict):
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = folder / f".training-{digest}"
        self.borders = self.folder / "borders.npy"
        self._best: tuple[list[np.ndarray], list[dict]] | None = None  # where it is not in a file
        self._next = time.monotonic()  # when a file may be written again

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:06d}.npz"

    def save(self, engine: keras.Model, history: list[dict]) -> None:
        """Write every variable and the history, if it is time, and else remember the best epoch.

        Older states are removed only after that.
        """
        due, best = time.monotonic() >= self._next, best_row(history) is history[-1]
        if not due and not best:
            return
        start = time.monotonic()
        variables = [keras.ops.convert_to_numpy(v.value) for v in variables_of(engine)]
        if not due:
            self._best = variables, list(history)
            return
        if self._best and not best:
            self._write(*self._best)
        self._best = None
        self._write(variables, history)
        end = time.monotonic()
        self._next = end + (end - start) * (1 / WRITING_SHARE - 1)

    def _write(self, variables: list[np.ndarray], history: list[dict]) -> None:
        epoch = len(history)
        with atomic(self._file(epoch)) as temporary, temporary.open("wb") as handle:
            np.savez(handle, *variables, history=json.dumps(history))
        files = sorted(self.folder.glob("epoch-*"))
        before = [_epoch_of(path) for path in files if _epoch_of(path) < epoch]
        last = [epoch, *before[-1:]]
        needed = {*last, *(best_row(history[:rows])["epoch"] for rows in last)}
        for path in set(files) - set(map(self._file, needed)):
            path.unlink()

    def restore(self, engine: keras.Model) -> list[dict]:
        """Set every variable of the engine as in the last epoch whose state is undamaged.

        Returns:
            The history up to that epoch; empty for a new training.
        """
        for path in sorted(self.folder.glob("epoch-*"), reverse=True):
            try:
                variables, history = _read(path, engine)
                best = self._file(best_row(history)["epoch"])
                if best != path:
                    _read(best, engine)
            except DAMAGE as error:
                logger.warning("%s: damaged state (%s); going back to the one before", path, error)
                continue
            _assign(engine, variables)
            return history
        return []

    def restore_best(self, engine: keras.Model, history: list[dict]) -> None:
        """Set every variable of the engine as in the epoch with the lowest validation loss."""
        file = self._file(best_row(history)["epoch"])
        variables, _ = self._best or _read(file, engine)
        _assign(engine, variables)

    def remove(self) -> None:
        """Remove this state, once the outputs are written, and those left by other settings."""
        for folder in self.folder.parent.glob(".training-*"):
            shutil.rmtree(folder)


def variables_of(engine: keras.Model) -> list[keras.Variable]:
    """Everything that training changes: weights, optimiser and random state."""
    return [*engine.trained.variables, *engine.optimizer.variables, engine.seeds.state]


def _epoch_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


@contextmanager
def unchanged(engine: keras.Model) -> Iterator[None]:
    """Give every variable of the engine, at the end, the value that it had before."""
    before = [keras.ops.convert_to_numpy(variable.value) for variable in variables_of(engine)]
    yield
    _assign(engine, before)


def _read(path: Path, engine: keras.Model) -> tuple[list[np.ndarray], list[dict]]:
    """The arrays, one for each variable, and the history; reading verifies their checksums."""
    shapes = [tuple(variable.shape) for variable in variables_of(engine)]
    with np.load(path) as saved:
        arrays = [saved[f"arr_{i}"] for i in range(len(shapes))]
        history = json.loads(str(saved["history"]))
    if [array.shape for array in arrays] != shapes:
        raise ValueError("arrays of other shapes than the variables")
    return arrays, history


def _assign(engine: keras.Model, arrays: list[np.ndarray]) -> None:
    for variable, array in zip(variables_of(engine), arrays, strict=True):
        variable.assign(array)
