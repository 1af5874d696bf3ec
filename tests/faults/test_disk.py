"""A disk that is full or may not be written to, and what a power cut leaves on it."""

import contextlib
import errno
import os
import shutil
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path

import numpy as np
import pytest
from faults import Background
from workspace import digests, fatal, finish, half_written, planned, snakemake

from maskmake.export.sample import write_array
from maskmake.runtime import files
from maskmake.runtime.files import write_text


@pytest.fixture
def mounted(folder):
    """Mounts a file system of so many kilobytes in the working folder; umounts it at the end."""
    points = []

    def mount(name, kilobytes):
        point = folder / name
        point.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", point]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")
        points.append(point)
        return point

    yield mount
    for point in points:
        subprocess.run(["umount", point], check=True)


def refusal(folder, *arguments):
    """The sentence of a run that is refused before any job."""
    code, output = snakemake(folder, *arguments)
    assert code == 1 and "Traceback" not in output, output
    assert "Select jobs to execute" not in output
    (told,) = [line for line in output.splitlines() if "then run again." in line]
    return told


def remount(point, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", point], check=True)


def test_a_read_only_results_folder_is_named_and_nothing_lost(mounted, folder):
    results = mounted("results", 4096)
    finish(folder, "validate")
    before = digests(results, "*")
    remount(results, "ro")
    told = "results/tiny: Read-only file system; free space or fix the permissions, then run again."
    assert refusal(folder, "plan") == told
    assert planned(folder, "plan") == {"binarize", "split", "plan"}, "a dry run is not work"
    assert digests(results, "*") == before
    remount(results, "rw")
    assert "validate" not in planned(folder, "plan")


@pytest.mark.parametrize("name", ["results", ".snakemake"])
def test_a_full_disk_is_named_before_any_job(name, mounted, folder):
    mounted(name, 16)
    told = refusal(folder, "validate")
    where = {"results": "results/tiny"}.get(name, name)
    assert told == (
        f"{where}: No space left on device; free space or fix the permissions, then run again."
    )
    assert digests(folder / "results", "*.json") == {}


def test_a_disk_that_a_job_finds_full_is_named_and_no_other_cause(mounted, folder):
    results = mounted("results", 256)
    run = Background(folder, "validate", environment=fatal("none", "open validate.log$"))
    run.wait_until((folder / "waiting").exists)
    with contextlib.suppress(OSError), (results / "filler").open("wb", 0) as filler:
        while True:
            filler.write(bytes(1024))
    (folder / "go").touch()
    assert run.process.wait() == 1
    assert "Traceback" not in run.output
    assert "out of memory" not in run.output
    assert "validate: results/tiny/logs: No space left on device; free space or fix" in run.output
    (results / "filler").unlink()
    finish(folder, "validate")


@pytest.mark.parametrize("side", [20, 60, 64, 200])
def test_an_array_of_a_package_is_whole_or_its_full_disk_is_named(side, mounted):
    """NumPy alone loses the end of some of these, and gives others an error without a number."""
    point = mounted("small", 64)
    with contextlib.suppress(OSError), (point / "filler").open("wb", 0) as filler:
        while True:
            filler.write(bytes(4096))
    os.truncate(point / "filler", (point / "filler").stat().st_size - 4096)
    array = np.ones((side, side), np.uint8)
    try:
        write_array(point / "array.npy", array)
    except OSError as error:
        assert error.errno == errno.ENOSPC
        assert error.filename == str(point / "array.npy")
        assert [path.name for path in point.iterdir()] == ["filler"]
    else:
        np.testing.assert_array_equal(np.load(point / "array.npy"), array)


# Root may write everywhere.
WITHOUT_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")


@pytest.mark.parametrize("name", ["benchmarks", "benchmarks/validate.tsv", "data", "logs"])
def test_a_file_that_may_not_be_written_is_named_before_its_job(name, folder):
    """Snakemake writes the benchmark after a job, and removes the results if it cannot."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv where the tests run as root")
    prefix = WITHOUT_ROOT if os.geteuid() == 0 else ("env",)
    finish(folder, "validate")
    before = digests(folder / "results/tiny/data", "*")
    place = folder / "results/tiny" / name
    place.chmod(0o555 if place.is_dir() else 0o444)
    code, output = snakemake(folder, "validate", "--forcerun", "validate", prefix=prefix)
    place.chmod(0o755)
    assert code == 1 and "Traceback" not in output, output
    told = f"results/tiny/{name}: Permission denied; free space or fix the permissions, then run"
    assert told in output
    assert "out of memory" not in output
    assert digests(folder / "results/tiny/data", "*") == before


# --- a power cut --------------------------------------------------------------------------------


def mark_incomplete(folder, name):
    """The mark that Snakemake makes before it starts the job of a file."""
    key = urlsafe_b64encode(name.encode()).decode()
    (folder / ".snakemake/incomplete" / key).write_text('{"external_jobid": null}')


def test_a_truncated_file_of_a_job_under_way_is_made_again(finished_copy):
    name = "results/tiny/data/labels.npy"
    before = digests(finished_copy / "results/tiny/data", "*.npy")
    os.truncate(finished_copy / name, 1000)
    mark_incomplete(finished_copy, name)
    finish(finished_copy, "binarize")
    assert digests(finished_copy / "results/tiny/data", "*.npy") == before
    assert "binarize" not in planned(finished_copy)


def test_a_half_written_file_beside_a_result_changes_nothing(finished_copy):
    results = finished_copy / "results/tiny"
    for name in ("data/images.npy", "data/audit.json", "runs/a/fold0/model.keras", "report.html"):
        path = results / name
        path.with_name(f".partial-{path.name}").write_bytes(path.read_bytes()[:100])
    (results / "runs/a/masks/.partial-06.png").write_bytes(b"")
    assert planned(finished_copy) == set()
    finish(finished_copy, "evaluate", "--forcerun", "mask_run")
    left = [path.name for path in half_written(finished_copy)]
    assert ".partial-06.png" not in left, "the folder of the masks is made again"


def test_a_file_and_its_name_are_on_the_disk_in_this_order(tmp_path, monkeypatch):
    """So that after a power cut there is no empty file under the final name."""
    events = []
    fsync, replace = os.fsync, files.Path.replace

    def note_fsync(handle):
        events.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def note_replace(path, target):
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(files.Path, "replace", note_replace)
    write_text(tmp_path / "a.txt", "text")
    assert events == [".partial-a.txt", "rename", tmp_path.name]
