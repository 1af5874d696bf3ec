"""The profiles that need no SLURM: a submit command, a workstation, an executor that is missing."""

import os
import re

import pytest
import yaml
from workspace import CONFIG, ROOT, configure, copy_workspace, snakemake

# A cluster of one machine. The first job of split is cancelled before it starts.
COMMANDS = {
    "sbatch": """
        number=$(date +%s%N)
        echo "$number $*" >> "$CLUSTER/submitted"
        for script; do :; done
        if [ "$(grep -c job-name=split "$CLUSTER/submitted")" = 1 ]; then
            echo CANCELLED > "$CLUSTER/$number"
        else
            { sh "$script" && echo COMPLETED || echo FAILED
            } 2> /dev/null | tail -n 1 > "$CLUSTER/$number" &
        fi
        echo "$number"
    """,
    "squeue": """
        for option; do :; done
        cat "$CLUSTER/${option#--jobs=}" 2> /dev/null || echo RUNNING
    """,
}


@pytest.fixture
def work(dataset, tmp_path):
    folder = copy_workspace(dataset, tmp_path / "work")
    configure(folder)
    return folder


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with the commands of the cluster, which write there what they were asked."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    for name, text in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("CLUSTER", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_submit_command_gets_what_a_job_needs_and_a_cancelled_job_comes_back(work, cluster):
    options = ("--workflow-profile", ROOT / "profiles/generic", "--seconds-between-status-checks")
    splits = "results/tiny/data/splits.csv"
    code, output = snakemake(work, splits, *options, "1", gpu=None)
    assert code == 0, output
    assert (work / splits).exists()
    calls = [line for line in (cluster / "submitted").read_text().splitlines() if "=split" in line]
    assert [
        re.search(r"--mem=(\d+) --time=(\d+) --gpus=(\d+)", call).groups() for call in calls
    ] == [
        ("4000", "60", "0"),
        ("8000", "120", "0"),
    ]


def test_workstation_lends_as_many_gpus_as_its_profile_says(work):
    """A training of two GPUs is refused by the default profile, which lends one."""
    configure(work, train={**CONFIG["train"], "backend": "jax", "gpu": 2}, runs={"a": {}})
    refused, output = snakemake(work, "train", "--dry-run", gpu=None)
    assert refused and "train.gpu: 2 in run 'a', but --resources gpu=1" in output, output
    profile = ("--workflow-profile", ROOT / "profiles/workstation")
    code, output = snakemake(work, "train", "--dry-run", *profile, gpu=None)
    assert code == 0, output


def test_executor_that_is_not_installed_is_named(work):
    """Snakemake says so before it reads the workflow, and lists what there is."""
    (work / "profile").mkdir()
    text = (ROOT / "profiles/kubernetes/config.yaml").read_text()
    text = text.replace("executor: kubernetes", "executor: absent")
    (work / "profile/config.yaml").write_text(text)
    code, output = snakemake(work, "--workflow-profile", work / "profile", gpu=None)
    assert code != 0
    assert "invalid choice: 'absent' (choose from 'cluster-generic', " in output, output
    assert not (work / "results").exists()


def entries(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["generic", "kubernetes", "slurm", "workstation"])
def test_every_profile_repeats_what_the_default_says_of_reruns(name):
    theirs, default = entries(name), entries("default")
    machine = {"cores", "resources"}  # of the one machine that the default is for
    assert default.keys() - machine >= {"rerun-triggers", "max-checksum-file-size"}
    for entry in default.keys() - machine:
        assert theirs[entry] == default[entry], entry


@pytest.mark.parametrize("name", ["generic", "kubernetes", "slurm"])
def test_a_batch_is_planned_with_the_memory_of_the_training(name):
    """The plan sees the memory that its own job has."""
    jobs = entries(name)["set-resources"]
    assert jobs["plan_run"]["mem_mb"] == jobs["train_fold"]["mem_mb"]


def test_every_pod_with_a_gpu_says_whose_it_is():
    jobs = entries("kubernetes")["set-resources"]
    asking = {"plan_run", "train_fold", "predict_fold", "segment_shard"}
    assert {rule for rule, job in jobs.items() if "gpu_manufacturer" in job} == asking
