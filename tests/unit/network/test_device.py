"""The choice of backend and device, made in processes of their own: Keras is imported only once."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from maskmake.network import device
from maskmake.network.compile_cache import AUTOTUNE_FLAG, TENSORFLOW_FLAG
from maskmake.runtime.gpus import LOCK_FOLDER, Gpu

pytestmark = pytest.mark.long

SCRIPTS = Path(__file__).parents[3] / "workflow/scripts"


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="JAX is installed")
def test_a_backend_that_is_not_installed_is_named(tmp_path):
    program = """
import sys
from maskmake.network.device import select_device
from maskmake.runtime.errors import UserError
try:
    select_device("jax", 0, sys.argv[1])
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("train.backend: jax, but jax is not installed"), done.stderr
    assert "set train.backend to tensorflow" in done.stdout


# What this process has chosen already.
CHOSEN = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "XLA_FLAGS", "TF_XLA_FLAGS")


def in_a_process(program, folder, **environment):
    """What a program prints in a process of its own, run in ``folder``."""
    inherited = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={
            **inherited,
            "PYTHONPATH": str(SCRIPTS),
            "XDG_CACHE_HOME": f"{folder}/my cache",
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SELECT = """
import os
from maskmake.network.device import select_device
from maskmake.runtime.errors import UserError
def select(gpu):
    try:
        select_device("tensorflow", gpu, "log")
    except UserError as error:
        print(error)
    names = ("CUDA_VISIBLE_DEVICES", "XLA_FLAGS", "TF_XLA_FLAGS")
    print(*[os.environ.get(name) for name in names])
"""
PROCESSOR = "set train.gpu to 0 or add --resources gpu=0 to use the processor, or "


@pytest.fixture
def path_with_a_gpu(tmp_path):
    """A PATH on which ``nvidia-smi`` lists one GPU, which no backend can find."""
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    name = f"GPU-{uuid.uuid4()}"
    command.write_text(f"#!/bin/sh\necho '{name}, 9.0, 580.1, 81920, NVIDIA X1'\n")
    command.chmod(0o755)
    yield f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    (LOCK_FOLDER / f"maskmake-{name}.lock").unlink(missing_ok=True)


def are_kept_in(folder, variables):
    """Whether what is tuned and what is compiled go to the user's cache folder."""
    kept = f'="{folder}/my cache/maskmake/tensorflow-2.'
    return AUTOTUNE_FLAG + kept in variables and TENSORFLOW_FLAG + kept in variables


# TensorFlow takes long to start: each process is asked all that it can answer.


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a GPU")
def test_the_processor_is_chosen_with_its_convolutions_and_an_absent_gpu_is_refused(
    tmp_path, path_with_a_gpu
):
    program = f"""
{SELECT}
path = os.environ["PATH"]
os.environ["PATH"] = {path_with_a_gpu!r}
select(0)
import keras
keras.ops.conv(keras.ops.ones((1, 32, 32, 8)), keras.ops.ones((3, 3, 8, 8)))
os.environ["PATH"] = path
del os.environ["CUDA_VISIBLE_DEVICES"]
select(1)
"""
    lines = in_a_process(program, tmp_path, ONEDNN_VERBOSE="1").splitlines()
    traced = [line for line in lines if line.startswith("onednn_verbose")]
    assert platform.machine() != "x86_64" or any(",exec,cpu,convolution," in t for t in traced)
    processor, refusal, variables = (line for line in lines if line not in traced)
    assert processor == " None None"
    none = "train.gpu asks for 1 GPU, but tensorflow sees none (nvidia-smi lists none); "
    assert refusal.startswith(none + PROCESSOR + "fix the driver")
    assert are_kept_in(tmp_path, variables)


def test_a_gpu_without_cuda_is_refused_and_xla_has_a_place_for_what_it_tunes(
    tmp_path, path_with_a_gpu
):
    """An XLA that does not know a flag would end the process."""
    program = f"""
{SELECT}
select(1)
import tensorflow as tf
print(tf.function(lambda x: x + 1, jit_compile=True)(1).numpy())
"""
    of_the_user = "--xla_cpu_enable_fast_math=false"
    output = in_a_process(program, tmp_path, PATH=path_with_a_gpu, XLA_FLAGS=of_the_user)
    refusal, variables, two = output.splitlines()
    one = "train.gpu asks for 1 GPU, but tensorflow sees none (nvidia-smi lists 1); "
    assert refusal.startswith(one + PROCESSOR + "give tensorflow its CUDA libraries")
    assert variables.startswith("GPU-")
    assert of_the_user in variables and are_kept_in(tmp_path, variables)
    assert two == "2"
    assert (tmp_path / "log").read_text(), "what TensorFlow said of the failure is kept"
    (folder,) = (tmp_path / "my cache/maskmake").iterdir()
    assert list(folder.glob("xla_compile_cache*.pb"))


@pytest.mark.parametrize(
    ("driver", "remedy"),
    [
        ("470.256.02", "update the driver 470.256.02 to 525.60 or later, which CUDA 12 needs."),
        ("525.60.13", "give tensorflow its CUDA libraries (for tensorflow: make setup GPU=1)."),
    ],
)
def test_a_driver_that_is_too_old_is_named(driver, remedy, monkeypatch):
    monkeypatch.setattr(device, "visible_gpus", lambda: [Gpu("GPU-1", 9.0, driver, "NVIDIA X1")])
    assert str(device._missing_gpus(1, 0, "tensorflow")).endswith(remedy)


# --- precision ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [([9.0], "bfloat16"), ([8.0], "bfloat16"), ([9.0, 7.5], "float32"), ([], "float32")],
)
def test_auto_precision_on_a_gpu_is_that_of_the_least(monkeypatch, capabilities, expected):
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    gpus = [
        Gpu(f"GPU-{i}", capability, "580.1", "NVIDIA X1")
        for i, capability in enumerate(capabilities)
    ]
    monkeypatch.setattr("maskmake.runtime.gpus.visible_gpus", lambda: gpus)
    assert device.resolve_precision("auto") == expected
    assert device.resolve_precision("float32") == "float32"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fma amx_bf16", "bfloat16"), ("avx512_bf16", "bfloat16"), ("avx512f", "float32")],
)
def test_auto_precision_on_a_processor_follows_its_instructions(
    monkeypatch, tmp_path, flags, expected
):
    (tmp_path / "cpuinfo").write_text(f"flags : fpu {flags}\n")
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "cpuinfo")
    assert device.resolve_precision("auto") == expected


def test_xla_compiles_with_jax_and_with_tensorflow_on_a_gpu(monkeypatch):
    assert [device.uses_xla(name) for name in ("tensorflow", "jax", "torch")] == [
        False,
        True,
        False,
    ]
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    assert [device.uses_xla(name) for name in ("tensorflow", "jax", "torch")] == [True, True, False]
