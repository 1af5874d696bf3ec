"""The workflow on a SLURM: jobs land where they should, and come back when they are taken away."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import h5py
import numpy as np
import pytest
import slurm
from workspace import CONFIG, ROOT, SMALL_NETWORK, configure, copy_workspace, finish, snakemake

from maskmake.data.synthesis import write_dataset

IMPATIENT = Path(__file__).with_name("impatient_snakemake.py")
PROFILE = ROOT / "profiles" / "slurm"
RUN = "results/tiny/runs/a"
# Epochs of some seconds: of each the tests have to see that it has been saved.
TRAIN = {**CONFIG["train"], "epochs": 8, "steps": 150, "gpu": 0}
CLUSTER = ("--workflow-profile", PROFILE, "--slurm-keep-successful-logs")


class Job(NamedTuple):
    """A job as SLURM remembers it."""

    state: str
    node: str
    start: datetime
    end: datetime


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running SLURM; the folder of its files."""
    if reason := slurm.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    with ExitStack() as stack:
        try:
            stack.enter_context(slurm.running(folder))
        except slurm.DoesNotStart as reason:
            pytest.skip(f"SLURM does not start on this machine: {reason}")
        yield folder


@pytest.fixture(scope="module")
def trained(cluster, dataset, tmp_path_factory):
    """A run of eight epochs on the processor of this machine, undisturbed."""
    folder = copy_workspace(dataset, tmp_path_factory.mktemp("trained") / "work")
    configure(folder, train=TRAIN, runs={"a": {}})
    finish(folder, "decide", "--cores", "4")
    return folder


@pytest.fixture
def work(trained, tmp_path):
    """The same folder before the training, which is planned already."""
    folder = copy_workspace(trained, tmp_path / "work")
    shutil.rmtree(folder / RUN / "fold0")
    return folder


def jobs_of(rule: str, work: Path, cluster: Path) -> list[Job]:
    """The jobs of a rule that have ended, in the order of their ids; a requeued one several times.

    SLURM knows the jobs of Snakemake by number; the folder of their logs knows their rule.
    """
    logs = (work / ".snakemake/slurm_logs").glob(f"rule_{rule}/**/*.log")
    numbers = {int(log.stem) for log in logs}
    jobs = []
    for line in (cluster / "finished").read_text().splitlines():
        entry = dict(re.findall(r"(\w+)=(\S*)", line))
        if int(entry["JobId"]) in numbers:
            times = (datetime.fromisoformat(entry[key]) for key in ("StartTime", "EndTime"))
            jobs.append(Job(entry["JobState"], entry["NodeList"], *times))
    return jobs


def running(rule: str) -> str | None:
    """Number of the running job of a rule; Snakemake names the rule in the comment."""
    listed = subprocess.run(
        ["squeue", "-h", "-t", "R", "-O", "JobID:20,Comment:60"], capture_output=True, text=True
    ).stdout
    numbers = [line.split()[0] for line in listed.splitlines() if f"rule_{rule}" in line]
    return numbers[0] if numbers else None


def wait_for(ready, process):
    end = time.monotonic() + 600
    while not (found := ready()):
        assert process.poll() is None, process.stdout.read()
        if time.monotonic() > end:
            process.terminate()
            pytest.fail(process.stdout.read())
        time.sleep(0.1)
    return found


def preempt(work, process, epoch):
    """Take the node of the training away once it has saved an epoch or a later one."""

    def saved():
        states = (work / RUN).glob("fold0/.training-*/epoch-*.npz")
        return any(int(path.stem.removeprefix("epoch-")) >= epoch for path in states)

    wait_for(saved, process)
    number = wait_for(lambda: running("train_fold"), process)
    urgent = "--partition=urgent --gres=gpu:1 --exclusive --output=/dev/null --wait --wrap=true"
    subprocess.run(["sbatch", *urgent.split()], check=True, capture_output=True)
    # SLURM leaves a job that it has queued again alone for two minutes.
    again = ["scontrol", "update", f"JobId={number}", "StartTime=now"]
    wait_for(lambda: subprocess.run(again, capture_output=True).returncode == 0, process)


@contextmanager
def started(work: Path, *arguments: str):
    """Snakemake on the cluster, under way; it has to succeed."""
    command = [sys.executable, IMPATIENT, *arguments, *CLUSTER]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", work]
    command += ["--configfile", work / "config.yaml"]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **SMALL_NETWORK},
    ) as process:
        yield process
        output = process.communicate()[0]
    assert process.returncode == 0, output


def test_training_that_is_preempted_twice_ends_as_one_that_is_not(work, trained, cluster):
    # The GPU of this cluster is a name: the training is sent to it and uses the processor.
    with started(work, "train", "--set-resources", "train_fold:gres='gpu:1'") as process:
        preempt(work, process, epoch=1)
        preempt(work, process, epoch=4)
    trainings = jobs_of("train_fold", work, cluster)
    assert [job.state for job in trainings] == ["PREEMPTED", "PREEMPTED", "COMPLETED"]
    assert {job.node for job in trainings} == {"gpu1"}
    log = (work / "results/tiny/logs/a-fold0-train.log").read_text()
    assert int(re.search(r"resuming after epoch (\d+) of 8", log)[1]) >= 4
    disturbed, undisturbed = (weights(folder / RUN / "fold0") for folder in (work, trained))
    assert disturbed.keys() == undisturbed.keys()
    for name, array in undisturbed.items():
        np.testing.assert_array_equal(disturbed[name], array)


def weights(fold: Path) -> dict[str, np.ndarray]:
    """Every array of a model file."""
    found = {}
    with ZipFile(fold / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def test_shards_run_side_by_side_and_come_back(work, trained, cluster):
    """After too little memory with more of it, and after they were cancelled."""
    write_dataset(work / "new", work / "unused", count=3, size=64, seed=2)
    segment = {"images": "new", "shard_size": 2, "model": str(trained / RUN)}
    configure(work, train=TRAIN, segment=segment)
    resources = ("--set-resources", "segment_shard:mem_mb=300 if attempt == 1 else 3000")
    with started(work, "segment", *resources) as process:
        wait_for(lambda: len(jobs_of("segment_shard", work, cluster)) >= 2, process)
        number = wait_for(lambda: running("segment_shard"), process)
        subprocess.run(["scancel", number], check=True)
    states = [job.state for job in jobs_of("segment_shard", work, cluster)]
    assert sorted(states) == ["CANCELLED"] + 2 * ["COMPLETED"] + 2 * ["FAILED"]
    shards = [job for job in jobs_of("segment_shard", work, cluster) if job.state == "FAILED"]
    assert max(job.start for job in shards) < min(job.end for job in shards)
    assert not jobs_of("review_masks", work, cluster)  # a local rule
    assert len(list((work / "results/tiny/segment/a/new").glob("*.png"))) == 3


def test_gpu_that_the_node_does_not_have_is_named(work, cluster):
    """The job lands where SLURM keeps its GPUs, and reports the missing one itself."""
    configure(work, train={**TRAIN, "gpu": 1}, runs={"a": {}})
    code, output = snakemake(work, "train", *CLUSTER, "--retries", "0", gpu=None, program=IMPATIENT)
    assert code != 0
    assert [job.node for job in jobs_of("train_fold", work, cluster)] == ["gpu1"]
    assert "train.gpu asks for 1 GPU, but tensorflow sees none" in output, output


def test_processor_asked_for_in_a_way_that_reaches_no_job_is_refused(work, cluster):
    code, output = snakemake(work, "train", *CLUSTER, gpu=0)
    assert code != 0
    assert "--resources gpu=0 does not reach jobs on a cluster" in output, output


def test_partition_that_does_not_exist_is_named(work, cluster):
    options = ("--default-resources", "slurm_partition=nowhere", "--retries", "0")
    code, output = snakemake(work, "train", *CLUSTER, *options, gpu=None)
    assert code != 0
    assert "invalid partition specified: nowhere" in output, output
