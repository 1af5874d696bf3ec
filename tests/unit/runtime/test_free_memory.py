"""What is left for a process is the least that the machine and its control groups leave."""

import psutil
import pytest

from maskmake.runtime import memory
from maskmake.runtime.memory import available_memory

GROUP_FILES = {
    2: ("0::", "", "memory.max", "memory.current", ""),
    1: ("4:cpu,memory:", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
}


@pytest.fixture(params=[2, 1], ids=["version 2", "version 1"])
def limit(request, tmp_path, monkeypatch):
    """A function that gives a group a limit; this process is in the group /job/step."""
    line, root, *names, prefix = GROUP_FILES[request.param]
    (tmp_path / "cgroup").write_text(f"1:name=other:/job\n{line}/job/step\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "CGROUP_FOLDER", tmp_path)

    def write(group, most, used, active=0, inactive=0):
        folder = tmp_path / root / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in zip(names, (most, used), strict=True):
            (folder / name).write_text(f"{value}\n")
        (folder / "memory.stat").write_text(
            f"anon 1\n{prefix}active_file {active}\n{prefix}inactive_file {inactive}\n"
        )

    return write


def test_of_a_jobs_limit_only_what_is_left_counts(limit):
    limit("job/step", "max", 700)
    limit("job", 1000, 700)
    assert available_memory() == 300


def test_the_group_that_leaves_least_counts(limit):
    limit("job/step", 1000, 100)
    limit("job", 2000, 1500)  # 1400 of it are a neighbour's
    assert available_memory() == 500


def test_pages_of_files_are_given_back(limit):
    limit("job", 1000, 950, active=300, inactive=400)
    assert available_memory() == 750


def test_no_more_than_everything_is_taken(limit):
    limit("job", 1000, 1010)
    assert available_memory() == 0


def test_a_group_without_a_limit_leaves_what_the_machine_has(limit):
    limit("job", "max", 700)
    machine = psutil.virtual_memory()
    assert 0.5 * machine.available < available_memory()
    assert available_memory() <= machine.total + psutil.swap_memory().total
