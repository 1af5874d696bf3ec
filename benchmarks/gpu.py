"""Everything that is to be known of a GPU, measured by one command and safe to cut off.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/gpu.py results/gpu --isbi data/isbi2012
    .venv/bin/python benchmarks/gpu.py results/gpu-small --isbi data/isbi2012 --small

Each part is measured with each backend that is installed, in this order:

- tests: the tests marked ``gpu``.
- speed-512, speed-256: an epoch of ours, the bare step of the same network and, with TensorFlow,
  the tutorial's loop, in turns (``speed.py``); and seconds until the first step with nothing
  compiled before and with everything.
- predict: ``prediction.py``.
- isbi-1, isbi-2, isbi-3: ISBI 2012 with three seeds, two minutes of training each (as many epochs
  as speed-256 says); trained and decided on sections 0-20, scored on 21-29.
- article: config/article.yaml, the five versions of the tutorial.
- whole: ``unet`` of config/isbi2012.yaml from the images to the report, compilation included.

A part writes its figures as soon as it has them: to figures.json, and as rows of figures.md. The
same command goes on with what is missing. ``--small`` runs all of it on a processor, with little
work in each part, to see that it runs; its figures mean nothing.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yaml

from maskmake.runtime.files import read_json, write_json
from maskmake.runtime.gpus import visible_gpus

ROOT = Path(__file__).parents[1]
SCORES = ["pixel_accuracy", "background_dice", "mean_dice", "v_rand", "v_info"]
TRAINING_SECONDS = 120
COLUMNS = ["part", "backend", "what", "figure", "unit"]


class Bench:
    """Where the parts write to, and how they call commands."""

    def __init__(self, options: argparse.Namespace):
        self.out, self.isbi, self.small = options.out.absolute(), options.isbi, options.small
        self.deadline = time.monotonic() + 60 * options.minutes
        self.gpu = 0 if self.small else 1
        self._file = self.out / "figures.json"
        self.figures = read_json(self._file) if self._file.exists() else {}

    def cache(self, name: str) -> dict[str, str]:
        """An environment in which nothing was compiled before, at the first call with a name."""
        return {"XDG_CACHE_HOME": str(self.out / "cache" / name)}

    def call(self, *command: str | Path, **environment: str) -> str:
        """Run a command to its end or to the deadline; what it prints."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=max(1, self.deadline - time.monotonic()),
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stdout[-3000:]}")
        return done.stdout

    def python(self, script: str, *arguments: str | Path, **environment: str) -> str:
        return self.call(sys.executable, ROOT / "benchmarks" / script, *arguments, **environment)

    def snakemake(self, config: dict, folder: Path, *targets: str, **environment: str) -> float:
        """Run the workflow in a folder; seconds. A run that was cut off goes on."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        command = [sys.executable, "-m", "snakemake", *targets, "--cores", str(os.cpu_count())]
        command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
        command += ["--configfile", folder / "config.yaml", "--resources", f"gpu={self.gpu}"]
        start = time.monotonic()
        self.call(*command, **environment)
        return time.monotonic() - start

    def keep(self, part: str, backend: str, rows: list[tuple[str, float | str, str]]) -> None:
        """Write the figures of a part: what, figure, unit."""
        self.figures[f"{part} {backend}"] = rows
        write_json(self._file, self.figures)
        with (self.out / "figures.md").open("a") as table:
            for what, figure, unit in rows:
                text = f"{figure:.4g}" if isinstance(figure, float) else figure
                print("|", " | ".join([part, backend, what, text, unit]), "|", file=table)
                print("|", " | ".join([part, backend, what, text, unit]), "|", flush=True)


def tests(bench: Bench, backend: str) -> list[tuple]:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-k", backend, "tests/gpu"]
    output = bench.call(*command)
    return [("tests marked gpu", output.strip().splitlines()[-1].strip("= "), "")]


def speed(bench: Bench, backend: str, patch: int) -> list[tuple]:
    loops = ["ours", "bare"] + (["article"] if backend == "tensorflow" else [])
    # The tutorial's loop takes half a minute for as many steps as ours does in two seconds.
    turns = {"block": 10, "rounds": 5} if "article" in loops else {"block": 20, "rounds": 10}
    size = {"patch": patch, "batch": 16, **turns}
    if bench.small:
        loops, size = loops[:2], {"patch": patch // 8, "batch": 2, "block": 1, "rounds": 2}
    rows = []
    for state, chosen in (("cold", loops), ("warm", loops[:1])):
        file = bench.out / f"speed-{patch}-{backend}-{state}.json"
        options = [text for key, value in size.items() for text in (f"--{key}", str(value))]
        options += ["--backend", backend, "--gpu", str(bench.gpu), "--json", file]
        bench.python("speed.py", *chosen, *options, **bench.cache(f"{patch}-{backend}"))
        for row in read_json(file)["loops"]:
            rows.append((f"{row['loop']}, first step, {state}", row["first_step_seconds"], "s"))
            if state == "cold":
                rows.append((row["loop"], row["images_per_second"], "images/s"))
                rows.append((f"ours over {row['loop']}", row["ratio"], ""))
    return [row for row in rows if row[0] != "ours over ours"]


def predict(bench: Bench, backend: str) -> list[tuple]:
    file = bench.out / f"predict-{backend}.json"
    options = ["--backend", backend, "--gpu", str(bench.gpu), "--json", file]
    options += ["--images", "1", "--size", "64"] if bench.small else ["--images", "64"]
    bench.python("prediction.py", *options, **bench.cache(f"512-{backend}"))
    found = read_json(file)
    rows = [(name, found[name], "tiles/s") for name in ("ours", "bare", "on the device")]
    return [*rows, ("ours over bare", found["ratio"], "")]


def isbi(bench: Bench, backend: str, seed: int) -> list[tuple]:
    config = yaml.safe_load((ROOT / "config/isbi2012.yaml").read_text())
    rate = dict(row[:2] for row in bench.figures.get(f"speed-256 {backend}", [])).get("ours", 1000)
    train = {"batch": 16, "steps": 100, "seed": seed, "backend": backend, "gpu": bench.gpu}
    train["epochs"] = max(1, int(TRAINING_SECONDS * rate / 1600))
    folder = bench.out / f"isbi-{seed}-{backend}"
    if (folder / "config.yaml").exists():  # what was cut off goes on with as many epochs
        train = yaml.safe_load((folder / "config.yaml").read_text())["train"]
    if bench.small:
        train |= {"batch": 2, "steps": 2, "epochs": 1, "patch": 64, "guard": False}
    config |= {"train": config["train"] | train, "runs": {"unet": {}}}
    return workflow_rows(bench, config, folder, bench.cache(f"256-{backend}"), f"seed {seed}")


def article(bench: Bench, backend: str) -> list[tuple]:
    config = yaml.safe_load((ROOT / "config/article.yaml").read_text())
    config["train"] |= {"backend": backend, "gpu": bench.gpu}
    for run in config["runs"].values() if bench.small else ():
        run["train"] |= {"batch": 1, "steps": 1, "epochs": 1, "guard": False}
    folder = bench.out / f"article-{backend}"
    return workflow_rows(bench, config, folder, bench.cache(f"article-{backend}"))


def whole(bench: Bench, backend: str) -> list[tuple]:
    config = yaml.safe_load((ROOT / "config/isbi2012.yaml").read_text())
    config["train"] |= {"backend": backend, "gpu": bench.gpu}
    if bench.small:
        config["train"] |= {"batch": 2, "steps": 2, "epochs": 1, "patch": 64, "guard": False}
    config["runs"] = {"unet": {}}
    folder = bench.out / f"whole-{backend}"
    shutil.rmtree(folder, ignore_errors=True)  # by the clock it cannot go on
    shutil.rmtree(bench.out / "cache/whole", ignore_errors=True)
    return workflow_rows(bench, config, folder, bench.cache("whole"))


def workflow_rows(
    bench: Bench, config: dict, folder: Path, environment: dict[str, str], prefix: str = ""
) -> list[tuple]:
    """Run the workflow on the images of ISBI 2012; seconds, and the scores of each run."""
    for kind in ("image", "label"):
        target = folder / "data/isbi2012" / kind
        if not target.exists():
            shutil.copytree(bench.isbi / kind, target)
    seconds = bench.snakemake(config, folder, **environment)
    rows: list[tuple] = [("images to report", seconds, "s")]
    results = folder / "results" / config["dataset"]["name"]
    for run in config["runs"]:
        training = read_json(results / f"runs/{run}/fold0/training.json")
        rows.append((f"{run}: training", float(training["seconds"]), "s"))
        rows.append((f"{run}: device, precision", training["device"], training["precision"]))
        metrics = read_json(results / f"runs/{run}/metrics.json")
        rows += [(f"{run}: {score}", metrics[score], "") for score in SCORES]
        for name in ("train", "predict"):
            table = pd.read_csv(results / f"benchmarks/{run}-fold0-{name}.tsv", sep="\t")
            rows.append((f"{run}: job {name}", float(table["s"].iloc[0]), "s"))
    return [(f"{prefix} {what}".strip(), *rest) for what, *rest in rows]


PARTS: dict[str, Callable[[Bench, str], list[tuple]]] = {
    "tests": tests,
    "speed-512": lambda bench, backend: speed(bench, backend, 512),
    "speed-256": lambda bench, backend: speed(bench, backend, 256),
    "predict": predict,
    "isbi-1": lambda bench, backend: isbi(bench, backend, 1),
    "isbi-2": lambda bench, backend: isbi(bench, backend, 2),
    "isbi-3": lambda bench, backend: isbi(bench, backend, 3),
    "article": article,
    "whole": whole,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for figures and results")
    parser.add_argument("--isbi", type=Path, required=True, help="folder with image and label")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--backends", nargs="+", choices=["tensorflow", "jax"])
    parser.add_argument("--minutes", type=float, default=9, help="after which it stops")
    parser.add_argument("--small", action="store_true", help="on a processor, to try it")
    options = parser.parse_args()
    gpus = visible_gpus()
    if not gpus and not options.small:
        sys.exit("nvidia-smi lists no GPU; add --small to try this on a processor.")
    backends = options.backends or [
        name for name in ("tensorflow", "jax") if importlib.util.find_spec(name)
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    bench, failed = Bench(options), []
    print(
        "|", " | ".join([*COLUMNS[:-1], "unit"]), "|\n|", " | ".join(["---"] * 5), "|", flush=True
    )
    for part in options.parts:
        for backend in backends:
            if f"{part} {backend}" in bench.figures:
                continue
            start = time.monotonic()
            try:
                rows = PARTS[part](bench, backend)
            except subprocess.TimeoutExpired:
                sys.exit(f"{part} {backend}: cut off after {options.minutes} minutes.")
            except RuntimeError as error:
                failed.append(f"{part} {backend}")
                print(f"{part} {backend} failed: {error}", flush=True)
                continue
            device = " and ".join(sorted({f"{gpu.name}, {gpu.driver}" for gpu in gpus}) or ["CPU"])
            taken = time.monotonic() - start
            bench.keep(part, backend, [("measured on", device, ""), *rows, ("took", taken, "s")])
    if failed:
        sys.exit(f"failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
