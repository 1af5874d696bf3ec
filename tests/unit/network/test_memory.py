"""A batch that does not fit into memory is refused with one that does."""

from dataclasses import replace

import keras
import psutil
import pytest
from trainings import SETTINGS, train

from maskmake.network import memory
from maskmake.network.memory import available_memory, explain_exhaustion, output_bytes
from maskmake.runtime.errors import UserError

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def network():
    """Two layers at full size and one at a quarter, the first in bfloat16."""
    layers = keras.layers
    images = keras.Input((None, None, 1))
    x = layers.Conv2D(8, 3, padding="same", dtype="mixed_bfloat16")(images)
    x = layers.MaxPooling2D()(layers.ReLU()(x))
    return keras.Model(images, x)


def test_the_outputs_of_every_layer_count(network):
    pixels = 3 * 64 * 64
    expected = pixels * 1 * 4 + pixels * 8 * 2 + pixels * 8 * 4 + pixels // 4 * 8 * 4
    assert output_bytes(network, 3, 64) == expected
    nested = keras.Model(network.input, network(network.input))
    assert output_bytes(nested, 3, 64) == expected + pixels * 1 * 4  # the outer input as well


def test_a_batch_that_cannot_fit_is_refused_before_training(dataset, tmp_path):
    with pytest.raises(UserError) as refusal:
        train(dataset, tmp_path, replace(SETTINGS, batch=2**20, patch=96))
    text = str(refusal.value)
    assert text.startswith("train.batch: 1048576 patches of 96 x 96 pixels need at least ")
    fits = int(text.split("set train.batch to ")[1].split()[0])
    assert fits < 2**20 and fits & (fits - 1) == 0
    assert list(tmp_path.iterdir()) == []


def test_where_no_batch_fits_the_patch_is_to_shrink(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"free; set train\.patch to a smaller multiple of 32\.$"):
        train(dataset, tmp_path)


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


@pytest.mark.parametrize("backend_says", ["tensorflow", "JAX", "PyTorch", "NumPy"])
def test_exhausted_memory_is_explained(backend_says):
    def exhaust():
        match backend_says:
            case "tensorflow":
                keras.ops.zeros((2**46,))
            case "JAX":
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")
            case "PyTorch":
                raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.")
            case "NumPy":
                raise MemoryError

    expected = "2 patches of 32 x 32 pixels do not fit into the memory of the CPU; set train.batch"
    with pytest.raises(UserError, match=f"{expected} to 1 or"), explain_exhaustion(SETTINGS):
        exhaust()


def test_other_errors_pass():
    with pytest.raises(ValueError, match="shape"), explain_exhaustion(SETTINGS):
        raise ValueError("shape")
