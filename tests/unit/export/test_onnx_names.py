"""The graph of ONNX is the same network whatever was made in the process before."""

import keras
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="locked, but not installed; run make setup")
pytest.importorskip("tf2onnx", reason="locked, but not installed; run make setup")

import onnxruntime
import tf2onnx

from maskmake.export.onnx_file import write_onnx

pytestmark = pytest.mark.long


def network(number, channels):
    """A network whose layers have the names of the ``number``-th of a process."""
    return keras.Sequential(
        [
            keras.Input((None, None, channels)),
            keras.layers.Rescaling(1 / 64, -2.0, name=f"rescaling_{number}"),
            keras.layers.Conv2D(1, 3, padding="same", name=f"conv2d_{number}"),
        ],
        name="network",
    )


# The optimisers of tf2onnx go by the sorted names of the nodes, which it numbers, too: around a
# new digit the order changes from one number to the next.
@pytest.mark.parametrize(
    ("channels", "folds"),
    [
        (1, (9, 10)),
        (3, (9, 10)),
        pytest.param(1, (3,), marks=pytest.mark.slow),
        pytest.param(1, (98, 99, 100), marks=pytest.mark.slow),
    ],
)
def test_the_numbers_of_layers_and_nodes_do_not_change_the_graph(
    channels, folds, tmp_path, monkeypatch
):
    networks = [network(number, channels) for number in folds]
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 24, channels)).astype(np.float32)
    expected = np.mean([np.asarray(network(images)) for network in networks], axis=0)
    for count in (980, 982, 988):
        monkeypatch.setattr(tf2onnx.utils, "INTERNAL_NAME", count)
        write_onnx(networks, tmp_path / "model.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        (logits,) = session.run(["logits"], {"images": images})
        assert logits.shape == expected.shape, count
        np.testing.assert_allclose(logits, expected, atol=1e-4)
