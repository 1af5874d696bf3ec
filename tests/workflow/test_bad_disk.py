"""A disk that cannot be written and records that are damaged: one sentence for each."""

import os
import shutil
import subprocess

import pytest
from refusals import assert_told_once, refusal
from workspace import configure, digests, snakemake


def test_file_in_place_of_the_results_folder_is_named(folder):
    (folder / "results").write_text("notes")
    output = refusal(folder, "validate")
    assert_told_once(output, "results: ")
    assert (folder / "results").read_text() == "notes"


def test_results_folder_that_is_a_link_to_nothing_is_named(folder):
    (folder / "results").symlink_to(folder / "disk")
    output = refusal(folder, "validate")
    assert_told_once(output, f"results: a link to {folder}/disk, which is not there", "mount")


def test_folder_without_permission_to_write_is_named(folder):
    prefix = ()
    if os.geteuid() == 0:  # permissions do not bind root unless it gives up a privilege
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv to bind root by permissions")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    (folder / "results/tiny/data").mkdir(mode=0o500, parents=True)
    output = refusal(folder, "validate", prefix=prefix)
    assert_told_once(output, "results/tiny/data:", "Permission denied", "fix the permissions")
    assert digests(folder / "results", "*.csv", "*.json") == {}


@pytest.fixture
def small_disk(folder):
    """Mounts a file system of so many kilobytes as the results folder."""
    results = folder / "results"
    results.mkdir()

    def mount(kilobytes):
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", results]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")

    yield mount
    if results.is_mount():
        subprocess.run(["umount", results], check=True)


@pytest.mark.parametrize(
    ("target", "kilobytes"), [("validate", 8), ("binarize", 160)], ids=["text", "array"]
)
def test_full_disk_is_named(target, kilobytes, small_disk, folder):
    small_disk(kilobytes)
    output = refusal(folder, target)
    assert_told_once(output, "No space left on device", "free space")
    audited = [".contents.csv", ".source.json", "audit.html", "audit.json", "manifest.csv"]
    earlier = {"validate": [], "binarize": audited}
    assert sorted(path.name for path in (folder / "results/tiny/data").glob("*")) == earlier[target]


def test_a_damaged_record_of_images_is_named(folder):
    record = folder / "results/tiny/data/.contents.csv"
    record.parent.mkdir(parents=True)
    record.write_text("images/0.png,1")
    assert_told_once(refusal(folder, "--dry-run"), "data/.contents.csv, line 1: damaged; expected")


def test_damaged_records_of_new_images_are_named(finished_copy):
    shutil.copytree(finished_copy / "images", finished_copy / "new")
    configure(finished_copy, segment={"images": "new", "run": "a"})
    record = finished_copy / "results/tiny/segment/a/new/.shards/attempts.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"0": ')
    code, output = snakemake(finished_copy, "segment", "--dry-run")
    assert code != 0
    assert "Traceback" not in output
    assert "new/.shards/attempts.json: not a whole JSON document" in output
    record.unlink()
    record.with_name("0.contents.csv").write_text("new/0.png,1")
    code, output = snakemake(finished_copy, "segment", "--dry-run")
    assert code != 0
    assert "new/.shards/0.contents.csv, line 1: damaged; expected" in output
