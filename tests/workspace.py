"""The workflow as a user runs it: a folder of images, a configuration, a command."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml
from forks import Forks

ROOT = Path(__file__).parents[1]
FATAL_HOOK = Path(__file__).with_name("fatal") / "sitecustomize.py"
SMALL_NETWORK = {"PYTHONPATH": str(Path(__file__).with_name("small"))}

# As small as a run can be: one epoch of three steps.
CONFIG = {
    "dataset": {"name": "tiny", "images": "images", "labels": "labels"},
    "split": {"method": "block", "test": 0.25, "validation": 0.25},
    "train": {"encoder": "resnet18", "patch": 32, "batch": 2, "steps": 3, "epochs": 1},
    "predict": {"tta": False},
    "runs": {"a": {}, "b": {"train": {"seed": 2}}},
}

# A workflow that uses this one.
MODULE = f"""
configfile: "config.yaml"


module maskmake:
    snakefile:
        "{ROOT / "Snakefile"}"
    config:
        config


use rule * from maskmake as segmentation_*
"""

FORKS = Forks()
SNAKEMAKE = Path(sys.executable).with_name("snakemake")

JOB_LOG = re.compile(r"^    log: results/\w+/logs/(\S+)\.log$", re.MULTILINE)
NOTHING_TO_DO = "Nothing to be done (all requested files are present and up to date)."


class Result(NamedTuple):
    """Exit code of a command and what it wrote to standard output and standard error."""

    code: int
    output: str


def configure(folder: Path, **sections) -> None:
    """Write config.yaml: the tiny configuration with some sections replaced, ``None`` left out."""
    config = {**CONFIG, **sections}
    text = yaml.safe_dump({name: section for name, section in config.items() if section})
    (folder / "config.yaml").write_text(text)


def snakemake(
    folder: Path,
    *arguments: str,
    snakefile: Path = ROOT / "Snakefile",
    config: str | Path = "config.yaml",
    gpu: int | None = 0,
    environment: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    program: Path = SNAKEMAKE,
    small: bool = True,
    fork_jobs: bool = True,
) -> Result:
    """Run Snakemake on a folder.

    Args:
        gpu: the limit for GPUs, ``None`` for the profile's.
        environment: what is added to the environment.
        prefix: a command that runs another one. With it Snakemake is a process of its own, else a
            fork of one that has it imported already.
        program: Snakemake, or what behaves like it.
        small: whether each network is that of ``tests/small`` in place of the library's.
        fork_jobs: whether the jobs have their imports done, unlike those of a user.
    """
    command = [*prefix, program, *arguments]
    command += ["--snakefile", snakefile, "--directory", folder, "--configfile", folder / config]
    if gpu is not None:
        command += ["--resources", f"gpu={gpu}"]
    environment = {**(SMALL_NETWORK if small else {}), **(environment or {})}
    if prefix:
        done = subprocess.run(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
    else:
        done = FORKS.run(command, environment, fork_jobs=fork_jobs)
    return Result(done.returncode, done.stdout)


def fatal(victim: str, place: str) -> dict[str, str]:
    """An environment of ``snakemake`` in which a job kills someone when it reaches a file.

    Args:
        victim: ``job``, ``snakemake`` (alone) or ``both``; with ``none`` the job writes a file
            ``waiting`` and waits there until there is a file ``go``.
        place: ``os.rename`` or ``open`` and the pattern of a file.
    """
    path = f"{FATAL_HOOK.parent}:{SMALL_NETWORK['PYTHONPATH']}"
    return {"PYTHONPATH": path, "FATAL": f"{victim} {place}"}


def finish(folder: Path, *arguments: str, **options) -> str:
    """Run Snakemake, which has to succeed; return its output."""
    code, output = snakemake(folder, *arguments, **options)
    assert code == 0, output
    return output


def planned(folder: Path, *targets: str, **options) -> set[str]:
    """The jobs that a run would start, each by the stem of its log, such as ``a-fold0-train``."""
    output = finish(folder, *targets, "--dry-run", gpu=None, **options)
    jobs = set(JOB_LOG.findall(output))
    assert bool(jobs) != (NOTHING_TO_DO in output), output
    return jobs


def why(
    folder: Path, *arguments: str, workflow: Path = ROOT, config: Path | None = None
) -> tuple[int, str, str]:
    """Ask what would run again and why; exit code, standard output and standard error."""
    command = [workflow / "workflow/why.py", *arguments]
    command += ["--snakefile", workflow / "Snakefile", "--directory", folder]
    command += ["--configfile", config or folder / "config.yaml"]
    done = FORKS.run(command, errors_apart=True)
    return done.returncode, done.stdout, done.stderr


def copy_workspace(source: Path, target: Path) -> Path:
    """Copy a folder with all times, so that Snakemake finds it as it left it."""
    return shutil.copytree(source, target, copy_function=_copy, dirs_exist_ok=True)


def _copy(source: str, target: str) -> None:
    if source.endswith(".keras"):  # large, and never written in place
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)


def digests(folder: Path, *patterns: str) -> dict[str, str]:
    """SHA-256 of every file below a folder that matches a pattern, by its relative path."""
    paths = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
    }


def half_written(folder: Path) -> list[Path]:
    """Temporary files of writes that did not end."""
    return list(folder.rglob(".partial-*"))
