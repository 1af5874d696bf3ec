"""What cannot be written as ONNX is refused in one sentence."""

from types import SimpleNamespace

import keras
import pytest

pytest.importorskip("tf2onnx", reason="locked, but not installed; run make setup")

import onnx
from onnx import helper

from maskmake.export import onnx_file
from maskmake.export.onnx_file import FAILURES, write_onnx
from maskmake.runtime.errors import UserError

pytestmark = pytest.mark.long


def network():
    return keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 1)], name="small")


@pytest.mark.parametrize("kind", FAILURES)
def test_an_operation_that_onnx_lacks(kind, tmp_path, monkeypatch):
    def fail(*arguments, **keywords):
        raise kind("Tensorflow op [Odd: OddOp] is not supported")

    monkeypatch.setattr(onnx_file.convert, "from_keras", fail)
    with pytest.raises(UserError) as error:
        write_onnx([network()], tmp_path / "model.onnx")
    sentence = str(error.value)
    assert "export: the network small cannot be written as ONNX" in sentence
    assert "Odd: OddOp" in sentence
    assert "expected a network of the table in docs/export.md; train with another" in sentence
    assert not list(tmp_path.iterdir())


def test_a_graph_that_breaks_the_rules_of_onnx(tmp_path, monkeypatch):
    end = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph([], "graph", [end], [end])
    graph.node.append(helper.make_node("NoSuchOperator", ["logits"], ["other"]))
    broken = helper.make_model(graph)
    monkeypatch.setattr(onnx_file.convert, "from_keras", lambda *_, **__: (broken, None))
    with pytest.raises(UserError, match=r"the network small cannot be written as ONNX \(.*NoSuch"):
        write_onnx([network()], tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_more_weights_than_a_file_of_onnx_holds(tmp_path):
    # Five times 120 million weights of four bytes; nothing else of a network is looked at.
    networks = [SimpleNamespace(count_params=lambda: 120_000_000)] * 5
    with pytest.raises(UserError) as error:
        write_onnx(networks, tmp_path / "model.onnx")
    assert str(error.value) == (
        "export: found 5 networks with 2.40 GB of weights in float32; expected at most 2.13 GB, "
        "since an ONNX file holds 2 GiB; train with fewer folds or seeds, or a smaller encoder."
    )


def test_as_many_weights_as_it_holds(tmp_path, monkeypatch):
    networks = [network(), network()]
    weights = sum(each.count_params() for each in networks)
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 4 * weights)
    write_onnx(networks, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").is_file()
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 4 * weights - 1)
    with pytest.raises(UserError, match="found 2 networks"):
        write_onnx(networks, tmp_path / "model.onnx")
