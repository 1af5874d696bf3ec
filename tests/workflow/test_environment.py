"""The workflow in folders and with variables of the environment as users have them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import ROOT, snakemake

LEFT_OUT = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the workflow in a folder with a difficult name."""
    folder = tmp_path_factory.mktemp("checkout") / "my 'mask \"make\"' ä"
    folder.mkdir()
    for name in ("Snakefile", "maskmake"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def maskmake(checkout: Path, folder: Path, *arguments: str, **environment: str):
    """Run ``./maskmake`` of a checkout; what it wrote to both outputs is one text."""
    return subprocess.run(
        [checkout / "maskmake", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_path_of_the_workflow_may_have_spaces_and_quotes(checkout, folder, tmp_path):
    work = folder.rename(tmp_path / "my 'work' {y} ö")
    done = maskmake(checkout, work, "validate", "config.yaml")
    assert done.returncode == 0, done.stdout
    assert (work / "results/tiny/data/manifest.csv").is_file()


def test_a_job_takes_the_package_of_its_workflow(folder, tmp_path):
    """A copy that is installed or in PYTHONPATH is another version sooner or later."""
    other = tmp_path / "other" / "maskmake"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('another maskmake')\n")
    code, output = snakemake(folder, "validate", environment={"PYTHONPATH": str(other.parent)})
    assert code == 0, output


def test_variables_of_another_python_do_no_harm(folder, tmp_path):
    """As modules of a cluster set them."""
    other = tmp_path / "other" / "pandas"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('for another Python')\n")
    variables = {"PYTHONPATH": str(other.parent), "PYTHONHOME": str(tmp_path)}
    done = maskmake(ROOT, folder, "validate", "config.yaml", **variables)
    assert done.returncode == 0, done.stdout
    assert f"PYTHONPATH: {other.parent} has other copies of pandas than" in done.stdout


def test_a_folder_for_caches_that_cannot_be_written_to_is_named(folder, tmp_path):
    (tmp_path / "file").touch()
    done = maskmake(ROOT, folder, "validate", "config.yaml", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1
    assert "file/snakemake/snakemake/source-cache: Not a directory; expected" in done.stdout
    assert "XDG_CACHE_HOME" in done.stdout


def test_a_brace_in_the_path_of_the_workflow_is_named(checkout, folder, tmp_path):
    other = shutil.copytree(checkout, tmp_path / "{x}", symlinks=True)
    done = maskmake(other, folder, "validate", "config.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{other}: found a brace in the path of maskmake")


def test_a_pipe_that_is_closed_ends_a_dry_run_without_a_word(folder):
    command = f"'{ROOT}/maskmake' validate config.yaml --dry-run | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)
    assert done.stderr == "Looking at what is to be done.\n"
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_end_nothing(closed, folder):
    command = f"'{ROOT}/maskmake' validate config.yaml {closed}"
    assert subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True).returncode == 0
    assert (folder / "results/tiny/data/manifest.csv").is_file()
