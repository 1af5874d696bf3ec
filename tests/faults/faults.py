"""A workflow in the background, to be killed, and the results it must still have."""

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from workspace import ROOT, SMALL_NETWORK, digests


class Background:
    """A Snakemake that runs in the background, in its own session; its output is in a file."""

    def __init__(self, folder: Path, *arguments: str, environment: dict[str, str] | None = None):
        command = [Path(sys.executable).with_name("snakemake"), *arguments]
        command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
        command += ["--configfile", folder / "config.yaml", "--resources", "gpu=0"]
        self._output = folder / "background.txt"
        with self._output.open("w") as file:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdout=file,
                stderr=file,
                start_new_session=True,
                env={**os.environ, **SMALL_NETWORK, **(environment or {})},
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until(self, condition) -> None:
        """Wait for a condition that has to hold before Snakemake ends."""
        while not condition():
            assert self.process.poll() is None, self.output
            time.sleep(0.05)


def final_results(folder: Path, run: str = "a") -> dict[str, str]:
    """Digests of all results of a run but for the times in them."""
    results = folder / "results/tiny"
    found = digests(
        results, "data/images.npy", "data/labels.npy", "data/splits.csv", "data/plan.json"
    )
    run_files = digests(
        results / "runs" / run, "*.npy", "*.png", "*.csv", "plan.json", "decision.json", "specks.*"
    )
    # A package has sums of its own.
    others = (".", "package/")
    found |= {name: digest for name, digest in run_files.items() if not name.startswith(others)}
    found.pop("fold0/history.csv")
    with zipfile.ZipFile(results / f"runs/{run}/fold0/model.keras") as archive:
        found["weights"] = hashlib.sha256(archive.read("model.weights.h5")).hexdigest()
    metrics = json.loads((results / f"runs/{run}/metrics.json").read_text())
    timeless = {key: value for key, value in metrics.items() if not key.startswith("seconds_")}
    found["metrics"] = json.dumps(timeless)
    return found
