"""What a killed training needs to go on, written after every epoch."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from maskmake.files import atomic


class State:
    """What a killed training needs to go on, in a folder of its own beside the outputs.

    The folder's name is a hash of settings, code and data, so it can never be resumed with
    others. Snakemake does not know the folder and leaves it alone when a job fails.
    """

    def __init__(self, folder: Path, key: dict):
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        self.folder = folder / f".training-{digest}"
        self.best_model = self.folder / "best.keras"
        self.borders = self.folder / "borders.npy"
        self._file = self.folder / "state.npz"

    def save(self, engine: keras.Model, history: list[dict]) -> None:
        """Write every variable and the history; the last state stays until this one is whole."""
        variables = [keras.ops.convert_to_numpy(v.value) for v in _variables(engine)]
        with atomic(self._file) as temporary, temporary.open("wb") as handle:
            np.savez(handle, *variables, history=json.dumps(history))

    def restore(self, engine: keras.Model) -> list[dict]:
        """Set every variable of the engine; the history of a new training is empty."""
        if not self._file.exists():
            return []
        with np.load(self._file) as saved:
            for i, variable in enumerate(_variables(engine)):
                variable.assign(saved[f"arr_{i}"])
            return json.loads(str(saved["history"]))

    def remove(self) -> None:
        """Forget it, once the outputs are written, and what was left under other settings."""
        for folder in self.folder.parent.glob(".training-*"):
            shutil.rmtree(folder)


def _variables(engine: keras.Model) -> list:
    return [*engine.network.variables, *engine.optimizer.variables, engine.seeds.state]
