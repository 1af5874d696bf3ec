"""What holds on a machine with an NVIDIA GPU, with each backend that is installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from workspace import CONFIG, configure, finish

from maskmake.runtime.gpus import visible_gpus

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not visible_gpus(), reason="nvidia-smi lists no GPU"),
]
SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"
BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(importlib.util.find_spec(name) is None, reason="not installed"),
    )
    for name in ("tensorflow", "jax")
]

JOB = """
import subprocess, sys
from maskmake.network.device import describe_device, resolve_precision, select_device, uses_xla
from maskmake.runtime.log import configure_logging
configure_logging(None)
backend, log = sys.argv[1:]
select_device(backend, 1, log)
import keras
from keras import ops
total = float(ops.sum(ops.ones((1000, 1000)) @ ops.ones((1000, 1000))))
query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
used = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
print(describe_device(), resolve_precision("auto"), uses_xla(backend), total, used, sep="|")
sys.stdout.flush()
sys.stdin.read()
"""


def job(backend, log):
    """A process that takes the GPU, says what it found, and holds it until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", JOB, backend, str(log)],
        env={**os.environ, "PYTHONPATH": f"{SCRIPTS}:{os.environ.get('PYTHONPATH', '')}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_job_finds_its_gpu_takes_memory_on_demand_and_others_wait(backend, tmp_path):
    first = job(backend, tmp_path / "first")
    device, precision, xla, total, used = first.stdout.readline().strip().split("|")
    (gpu, *_) = visible_gpus()
    assert device == gpu.name
    assert precision == ("bfloat16" if gpu.capability >= 8 else "float32")
    assert (xla, float(total)) == ("True", 1e9)
    assert int(used) < 4000, "MiB of the GPU for two small matrices"
    if len(visible_gpus()) == 1:
        second = job(backend, tmp_path / "second")
        assert f"is held by process {first.pid}" in second.stderr.readline()
        first.communicate()
        assert second.stdout.readline().startswith(device)
        assert second.communicate()[1] == "" and second.returncode == 0
    else:
        first.communicate()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_workflow_trains_and_predicts_on_the_gpu(backend, folder):
    configure(folder, train={**CONFIG["train"], "backend": backend}, runs={"a": {}})
    finish(folder, "--cores", "4", gpu=1)
    run = folder / "results/tiny/runs/a"
    training = json.loads((run / "fold0/training.json").read_text())
    assert training["device"] == visible_gpus()[0].name
    assert training["xla"] is True
    assert 0 <= json.loads((run / "metrics.json").read_text())["mean_dice"] <= 1
    assert len(list((run / "masks").glob("*.png"))) == len(pd.read_csv(run / "per_image.csv"))
    assert (folder / "results/tiny/report.html").stat().st_size > 0
