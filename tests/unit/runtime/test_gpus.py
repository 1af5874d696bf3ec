"""Which GPUs there are, and that each goes to one job: with an ``nvidia-smi`` of our own."""

import errno
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from maskmake.runtime import gpus
from maskmake.runtime.gpus import Gpu, reserve_gpus, visible_gpus

GIB = 2**30
SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with three GPUs, of capability 9.0, 8.0 and 7.5; gives their UUIDs.

    They have 80, 40 and 15 GiB; the last one says so to no one.
    """
    names = [f"GPU-{uuid.uuid4()}" for _ in range(3)]
    rows = [
        f"{name}, {version}, 580.1, {memory}, NVIDIA X1"
        for name, version, memory in zip(
            names, (9.0, 8.0, 7.5), (81920, 40960, "[N/A]"), strict=True
        )
    ]
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in rows))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield names
    for name in names:
        (gpus.LOCK_FOLDER / f"maskmake-{name}.lock").unlink(missing_ok=True)


def job(count):
    """A process that takes GPUs, prints them, and holds them until its input is closed."""
    program = f"""
import os, sys
from maskmake.runtime.gpus import reserve_gpus
from maskmake.runtime.log import configure_logging
configure_logging(None)
reserve_gpus({count})
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def taken(process):
    return process.stdout.readline().strip().split(",")


# --- which there are ----------------------------------------------------------------------------


def test_no_gpu_is_listed_without_a_driver(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert visible_gpus() == []


def test_a_gpu_that_does_not_say_what_it_can_is_listed(machine, tmp_path):
    command = tmp_path / "nvidia-smi"
    command.write_text(command.read_text().replace("8.0", "[GPU requires reset]"))
    assert [gpu.capability for gpu in visible_gpus()] == [9.0, 0, 7.5]


def test_a_driver_that_fails_is_quoted(machine, tmp_path, caplog, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho Driver/library mismatch; exit 18\n")
    monkeypatch.setattr(gpus.logger, "propagate", True)
    assert visible_gpus() == []
    assert "nvidia-smi: Driver/library mismatch" in caplog.text


def test_a_gpu_is_missing_for_sure_only_where_no_driver_could_have_one(
    machine, tmp_path, monkeypatch
):
    monkeypatch.setattr(gpus.sys, "platform", "linux")
    for drivers in ("OTHER_DRIVERS", "NVIDIA_DRIVERS"):
        monkeypatch.setattr(gpus, drivers, (str(tmp_path / drivers),))
    found = tmp_path / "NVIDIA_DRIVERS"
    found.touch()
    assert gpus.are_all_listed()  # by nvidia-smi
    monkeypatch.setenv("PATH", "")
    assert not gpus.are_all_listed()  # as in a container without it
    found.unlink()
    assert gpus.are_all_listed()
    (tmp_path / "OTHER_DRIVERS").touch()  # of AMD
    assert not gpus.are_all_listed()
    (tmp_path / "OTHER_DRIVERS").unlink()
    monkeypatch.setattr(gpus.sys, "platform", "darwin")  # Metal
    assert not gpus.are_all_listed()


@pytest.mark.parametrize(
    ("allowed", "positions"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2", [2]),
        ("1, 0", [1, 0]),
        ("0,3,1", [0]),
    ],
)
def test_the_environment_allows_some(machine, monkeypatch, allowed, positions):
    if allowed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert [gpu.uuid for gpu in visible_gpus()] == [machine[i] for i in positions]


def test_the_environment_allows_by_uuid(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{machine[2]},{machine[0][:12]},MIG-4f/1/0")
    found = [(7.5, machine[2], None), (9.0, machine[0], 80 * GIB), (8.0, "MIG-4f/1/0", None)]
    assert visible_gpus() == [
        Gpu(name, capability, "580.1", "NVIDIA X1", memory) for capability, name, memory in found
    ]


@pytest.mark.parametrize(
    ("allowed", "memory", "bfloat16"),
    [("0", 80 * GIB, True), ("0,1", 40 * GIB, True), ("1,2", 40 * GIB, False), ("2", None, False)],
)
def test_the_visible_gpus_decide_memory_and_precision(
    machine, monkeypatch, allowed, memory, bfloat16
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert gpus.gpu_memory() == memory
    assert gpus.multiply_bfloat16() == bfloat16


# --- one job each -------------------------------------------------------------------------------


def test_two_jobs_take_two_gpus_and_a_third_waits_for_a_killed_one(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    first, second = job(1), job(1)
    held = taken(first) + taken(second)
    assert sorted(held) == sorted(machine[:2])
    third = job(1)
    log = third.stderr.readline()
    assert "waiting for 1 GPU: " in log
    for name, process in zip(held, (first, second), strict=True):
        assert f"{name} is held by process {process.pid}" in log
    time.sleep(2 * gpus.SECONDS_BETWEEN_TRIES)
    assert third.poll() is None
    second.kill()
    assert taken(third) == [held[1]]
    assert third.communicate()[1] == "", "one line is enough"
    first.communicate()


def test_two_jobs_that_want_all_gpus_do_not_wait_for_each_other(machine):
    jobs = [job(3), job(3)]
    for process in jobs:
        process.stdin.close()
    assert [process.wait(timeout=60) for process in jobs] == [0, 0]


def test_nothing_is_taken_where_there_are_too_few(machine, monkeypatch):
    reserve_gpus(4)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    other = job(3)
    assert taken(other) == machine
    other.communicate()


def test_on_a_full_disk_a_gpu_is_held_without_a_name(machine, monkeypatch):
    """The locks are in /tmp, whatever TMPDIR is set to because that is full."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("os.pwrite", refuse)
    reserve_gpus(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == machine[0]
    second = job(1)
    assert f"{machine[0]} is held by another process" in second.stderr.readline()
    second.kill()
    second.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to become another user")
def test_another_user_sees_the_lock(machine):
    mask = os.umask(0o077)
    first = job(1)
    assert taken(first) == machine[:1]
    os.umask(mask)
    program = """
import os, sys
from maskmake.runtime import gpus
found = gpus.visible_gpus()
os.setuid(65534)
gpus.visible_gpus = lambda: found
gpus.reserve_gpus(1)
print(os.environ["CUDA_VISIBLE_DEVICES"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == machine[1], done.stderr
    first.communicate()
