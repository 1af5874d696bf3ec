"""A batch that does not fit into memory is refused with one that does."""

from dataclasses import replace

import keras
import pytest
from trainings import SETTINGS, train

from maskmake.network import memory
from maskmake.network.memory import explain_exhaustion, output_bytes
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


@pytest.mark.usefixtures("two_convolutions")
def test_a_batch_that_cannot_fit_is_refused_before_training(dataset, tmp_path):
    with pytest.raises(UserError) as refusal:
        train(dataset, tmp_path, replace(SETTINGS, batch=2**20, patch=96))
    text = str(refusal.value)
    assert text.startswith("train.batch: 1048576 patches of 96 x 96 pixels need at least ")
    fits = int(text.split("set train.batch to ")[1].split()[0])
    assert fits < 2**20 and fits & (fits - 1) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("two_convolutions")
def test_where_no_batch_fits_the_patch_is_to_shrink(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"free; set train\.patch to a smaller multiple of 32\.$"):
        train(dataset, tmp_path, replace(SETTINGS, patch=64))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"batch": 4}, "set train.batch to 2."),
        ({"batch": 4, "patch": 64}, "set train.batch to 2 or train.patch to a smaller multiple of"),
        ({"batch": 1}, "set a smaller train.encoder or take more memory."),
        (
            {"batch": 1, "patch": 96, "architecture": "PSPNet"},
            "set a smaller train.encoder or take more memory.",
        ),
        ({"batch": 1, "patch": 192, "architecture": "PSPNet"}, "to a smaller multiple of 96."),
    ],
)
def test_the_remedy_for_exhausted_memory_can_be_set(changes, remedy):
    with pytest.raises(UserError) as told, explain_exhaustion(replace(SETTINGS, **changes)):
        raise MemoryError
    assert remedy in str(told.value)


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
    with pytest.raises(UserError, match=f"{expected} to 1\\."), explain_exhaustion(SETTINGS):
        exhaust()


def test_other_errors_pass():
    with pytest.raises(ValueError, match="shape"), explain_exhaustion(SETTINGS):
        raise ValueError("shape")
