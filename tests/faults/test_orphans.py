"""A Snakemake that is killed alone: its jobs end with it, and no two do the same."""

import os
import platform
import signal
import subprocess
import sys

import pytest
from faults import Background
from workspace import CONFIG, ROOT, configure, finish, planned

SCRIPTS = ROOT / "workflow/scripts"


def test_a_training_goes_on_at_once_after_its_snakemake_was_killed(finished_copy):
    folder = finished_copy
    configure(folder, train={**CONFIG["train"], "steps": 50, "epochs": 12}, runs={"a": {}})
    first = Background(folder, "train")
    first.wait_until(lambda: list(folder.rglob(".training-*/epoch-*.npz")))
    first.process.kill()
    first.process.wait()
    log = finish(folder, "train")
    assert "train_fold: the last attempt, process" in log
    resumed = [line for line in log.splitlines() if line.startswith("resuming after epoch")]
    assert resumed[0] in {f"resuming after epoch {n} of 12" for n in range(1, 12)}
    assert planned(folder, "train") == set()
    assert "so it ends too; run the same command again to go on." in first.output
    assert not list(folder.rglob(".training-*"))


JOB = """
import sys
from types import SimpleNamespace
from maskmake.runtime.log import job, logger
with job(SimpleNamespace(log=[sys.argv[1]], rule="a_rule")):
    print("at it", flush=True)
    sys.stdin.read()
    logger.info("done")
"""


@pytest.fixture
def job(tmp_path):
    """Start a job that says ``at it`` and ends when its input does; all have one log."""
    started = []

    def start(**environment):
        process = subprocess.Popen(
            [sys.executable, "-c", JOB, tmp_path / "a.log"],
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_same_job_is_done_by_one_process_at_a_time(job):
    first = job()
    assert first.stdout.readline() == "at it\n"
    second = job()
    assert second.stderr.readline() == (
        f"a_rule: waiting for process {first.pid} on {platform.node()}, which does the same.\n"
    )
    first.stdin.close()
    assert second.stdout.readline() == "at it\n"
    second.stdin.close()
    assert second.stderr.read() == "done\n", "nobody was killed"
    assert (first.wait(), second.wait()) == (0, 0)


def test_a_killed_job_is_reported_by_the_next(job):
    first = job()
    assert first.stdout.readline() == "at it\n"
    first.kill()
    line = job().stderr.readline()
    assert line == (
        f"a_rule: the last attempt, process {first.pid} on {platform.node()}, was killed; "
        "it is done again.\n"
    )


SNAKEMAKE = """
import os, sys, time
from maskmake.snakefile.results_lock import ResultsLock
lock = ResultsLock("results/mine", "results/weights")
lock.acquire(dry_run=False)
print(os.environ["MASKMAKE_SNAKEMAKE"], flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("late", [False, True], ids=["at work", "before it starts"])
def test_a_job_is_killed_with_its_snakemake(late, job, tmp_path):
    boss = subprocess.Popen(
        [sys.executable, "-c", SNAKEMAKE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    holder = boss.stdout.readline().strip()
    if late:
        boss.kill()
    worker = job(MASKMAKE_SNAKEMAKE=holder)
    if not late:
        assert worker.stdout.readline() == "at it\n"
        assert worker.poll() is None
        boss.kill()
    assert worker.wait(timeout=30) == -signal.SIGKILL
    assert "a_rule: its Snakemake was killed, so it ends too" in worker.stderr.read()
    boss.wait()
