"""How many jobs on a GPU Snakemake starts at a time, on a machine that says it has one GPU."""

import os
import re
import shutil
import uuid

import pytest
from workspace import CONFIG, configure, fatal, snakemake

from maskmake.runtime import gpus

WARNING = "--resources: no limit for gpu"


@pytest.fixture
def work(finished_copy):
    """Two trainings to be done, after everything that comes before them."""
    for run in "ab":
        shutil.rmtree(finished_copy / f"results/tiny/runs/{run}/fold0")
    return finished_copy


@pytest.fixture
def one_gpu(tmp_path, monkeypatch):
    """Here ``nvidia-smi`` lists one GPU, which no backend finds."""
    name = f"GPU-{uuid.uuid4()}"
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/nvidia-smi"
    command.write_text(f"#!/bin/sh\necho '{name}, 9.0, 580.1, 81920, NVIDIA X1'\n")
    command.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    yield
    (gpus.LOCK_FOLDER / f"maskmake-{name}.lock").unlink(missing_ok=True)


def trainings(folder, *arguments, **options):
    """Output of two trainings that fail; how many were started first; the warnings."""
    options = {"gpu": None, **options}
    code, output = snakemake(folder, "train", "--cores", "8", *arguments, **options)
    assert code == 1
    failure = re.compile(r"^train_fold \((\w), fold 0\): ", re.MULTILINE)
    assert set(failure.findall(output)) == {"a", "b"}, output
    first = failure.split(output)[0].count("fold 0): Trains")
    return output, first, output.count(WARNING)


AT_ONCE = fatal("job", "open fold0-train.log$")  # before the backend is loaded


@pytest.mark.parametrize(("gpu", "started"), [(1, 1), (2, 2), (0, 2)])
def test_as_many_jobs_as_the_limit_are_started(gpu, started, work):
    """0 asks for the processor, where no GPU is counted."""
    assert trainings(work, gpu=gpu, environment=AT_ONCE)[1:] == (started, 0)


def test_the_profile_limits_to_one(work):
    assert trainings(work, environment=AT_ONCE)[1:] == (1, 0)


@pytest.mark.parametrize(
    "arguments", [("--resources", "mem_mb=8000"), ("--workflow-profile", "none", "--keep-going")]
)
def test_a_command_that_drops_the_limit_is_warned(arguments, work):
    assert trainings(work, *arguments, environment=AT_ONCE)[1:] == (2, 1)


def test_without_jobs_on_a_gpu_nothing_is_said(work):
    configure(work, train={**CONFIG["train"], "gpu": 0})
    assert trainings(work, "--resources", "mem_mb=8000", environment=AT_ONCE)[1:] == (2, 0)


@pytest.mark.usefixtures("one_gpu")
def test_without_a_limit_the_jobs_take_turns_on_the_gpu(work):
    # A fork has TensorFlow already and would fail before the other one asks for the GPU.
    output, _, warnings = trainings(work, "--resources", "mem_mb=8000", fork_jobs=False)
    assert warnings == 1
    assert output.count("waiting for 1 GPU: GPU-") == 1
    assert output.count("train.gpu asks for 1 GPU, but tensorflow sees none") >= 2


TWO_GPUS = {**CONFIG["train"], "backend": "jax", "gpu": 2}


@pytest.mark.usefixtures("one_gpu")
def test_a_run_of_two_gpus_is_trained_on_no_fewer(work):
    configure(work, train=TWO_GPUS, runs={"a": {}})
    code, output = snakemake(work, "train", "--cores", "2", gpu=2)
    assert code == 1
    assert "train.gpu: 2 in run 'a', but nvidia-smi lists 1 on this machine" in output
    assert "fold 0): Trains" not in output


@pytest.mark.usefixtures("one_gpu")
def test_a_run_of_two_gpus_is_predicted_on_one(work):
    fold = work / "results/tiny/runs/a/fold0"
    fold.mkdir()
    for name in "model.keras", "history.csv", "training.json", "augmented.npy":
        (fold / name).touch()
    configure(work, train=TWO_GPUS, runs={"a": {}})
    code, output = snakemake(work, "predict", "--rerun-triggers", "mtime", gpu=2)
    assert code == 1  # in the job, which finds no model
    assert "1 step: predict_fold" in output
    assert "nvidia-smi lists 1 on this machine" not in output
