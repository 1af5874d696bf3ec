"""A tiny data set and a finished workflow, made once and copied by the tests that change them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from workspace import configure, copy_workspace, finish

from maskmake.data.synthesis import write_dataset

# A make that a test calls is not called by the make that runs the tests.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory, worker_id) -> Path:
    """A folder for caches that all tests share, in place of the user's."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Folders images and labels: eight images of 96 x 96 pixels."""
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder / "images", folder / "labels", count=8, size=96, seed=1)
    return folder


@pytest.fixture
def folder(dataset, tmp_path) -> Path:
    """A folder with the data set and its configuration, where nothing has run yet."""
    copy_workspace(dataset, tmp_path / "work")
    configure(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="session")
def make_once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], object]], Path]:
    """A function from a name and what writes a folder to that folder. Only to be read.

    The first of several test processes that asks for a name writes it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make(name: str, write: Callable[[Path], object]) -> Path:
        original = shared / name
        original.mkdir(exist_ok=True)
        with (original / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (original / "work").exists():
                write(original / "unfinished")
                (original / "unfinished").rename(original / "work")
        return original / "work"

    return make


@pytest.fixture(scope="session")
def finished(dataset, make_once, tmp_path_factory) -> Path:
    """The workflow of the runs a and b after it has ended. Only to be read."""

    def write(folder: Path) -> None:
        configure(copy_workspace(dataset, folder))
        finish(folder, "--cores", "2")

    original = make_once("finished", write)
    return copy_workspace(original, tmp_path_factory.mktemp("finished") / "work")


@pytest.fixture
def finished_copy(finished, tmp_path) -> Path:
    """A copy of the finished workflow to change."""
    return copy_workspace(finished, tmp_path / "work")
