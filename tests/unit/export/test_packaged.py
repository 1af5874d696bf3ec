"""A package in Python takes arrays as ``segment`` takes files, and a bad one is one sentence."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="locked, but not installed; run make setup")

import onnx
from onnx import TensorProto, helper, numpy_helper

import maskmake
from maskmake.masks.run_folds import list_folds
from maskmake.network.settings import PredictSettings
from maskmake.predict.segmentation import segment_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_json
from maskmake.runtime.sums import write_sums

TILING = {"tile": 32, "overlap": 0.5, "tta": True}


@pytest.fixture
def make_package(tmp_path):
    """A function that makes a package: foreground is where the first channel is above 127.5."""

    def make(channels=1, predict=TILING, dtype="uint8", **preprocessing):
        folder, fold = tmp_path / "package", tmp_path / "package" / "fold0"
        fold.mkdir(parents=True)
        onnx.save(first_channel(channels), folder / "model.onnx")
        for name in ("model.keras", "training.json"):
            (fold / name).write_text(name)
        write_json(
            folder / "run.json", list_folds([fold / "model.keras"], [fold / "training.json"])
        )
        write_json(folder / "decision.json", {"threshold": 0.5, "min_object": 0, "min_hole": 0})
        expected = {"channels": channels, "dtype": dtype, "predict": predict} | preprocessing
        numbers = {"scale": [1.0] * channels, "offset": [0.0] * channels}
        write_json(folder / "preprocessing.json", numbers | expected)
        write_sums(folder)
        return folder

    return make


def first_channel(channels):
    """A graph whose logit is the first channel, less 127.5."""
    weights = np.zeros((channels, 1), np.float32)
    weights[0] = 1
    arrays = {"weights": weights, "middle": np.float32(127.5)}
    sides = ["batch", "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["images", "weights"], ["first"]),
            helper.make_node("Sub", ["first", "middle"], ["logits"]),
        ],
        "first",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [*sides, channels])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*sides, 1])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


# --- the channels of an array -------------------------------------------------------------------


@pytest.mark.parametrize("samples", [3, 4])
def test_the_selected_channels_are_taken_in_their_order(make_package, samples):
    image = noise(40, 50, samples)
    mask = maskmake.load(make_package(3, selection=[3, 2, 1])).predict(image).mask
    np.testing.assert_array_equal(mask, image[..., 2] > 127)


def test_three_selected_channels_of_a_grey_picture_are_one(make_package):
    image = np.repeat(noise(40, 50, 1), 3, axis=2)
    mask = maskmake.load(make_package(1, selection=[1, 2, 3])).predict(image).mask
    np.testing.assert_array_equal(mask, image[..., 0] > 127)


@pytest.mark.parametrize(("shape", "selection"), [((8, 8), [2]), ((8, 8), [1, 2, 3])])
def test_a_selected_channel_that_an_array_lacks_is_named(make_package, shape, selection):
    model = maskmake.load(make_package(1, selection=selection))
    with pytest.raises(UserError) as error:
        model.predict(noise(*shape))
    sentence = f"array: 1 channel, but dataset.channels selects channel {max(selection)}; expected"
    assert str(error.value).startswith(sentence)


def test_an_array_of_the_other_byte_order_is_taken(make_package):
    image = noise(40, 50, dtype=np.uint16)
    mask = maskmake.load(make_package(dtype="uint16")).predict(image.astype(">u2")).mask
    np.testing.assert_array_equal(mask, image > 127)


# --- a list of sums that is not whole -----------------------------------------------------------


def segment(folder):
    settings = PredictSettings(**TILING)
    paths = folder / "fold0", folder / "decision.json", settings, folder / "masks"
    segment_images([], [paths[0]], *paths[1:], folder / "run.json")


USES = pytest.mark.parametrize("use", [maskmake.load, segment], ids=["load", "segment"])
FILES = ["model.onnx", "preprocessing.json", "decision.json", "run.json"]


@USES
@pytest.mark.parametrize("name", [*FILES, "fold0/model.keras", "fold0/training.json"])
def test_a_file_that_the_sums_lack_is_named(make_package, name, use):
    sums = make_package() / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if not line.endswith(f"  {name}\n")))
    with pytest.raises(UserError) as error:
        use(sums.parent)
    assert str(error.value).startswith(f"{sums}: lacks {name}; expected the sums of all files")


@USES
@pytest.mark.parametrize("lost", ["SHA256SUMS", "preprocessing.json"])
def test_a_package_that_lost_a_file_is_no_run(make_package, lost, use):
    folder = make_package()
    (folder / lost).unlink()
    with pytest.raises(UserError) as error:
        use(folder)
    assert str(error.value).startswith(f"{folder / lost}: missing")


# --- files of a package with right sums ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"predict": TILING | {"tile": 0}}, "predict.tile: 0 is less than the minimum of 32"),
        ({"predict": TILING | {"tile": -32}}, "predict.tile: -32 is less than"),
        ({"predict": TILING | {"tile": 33}}, "predict.tile: 33 is not a multiple of 32"),
        ({"predict": TILING | {"tile": 2**40}}, "predict.tile: 1099511627776 is greater than"),
        ({"predict": TILING | {"overlap": -1.0}}, "predict.overlap: -1.0 is less than"),
        ({"predict": TILING | {"overlap": 1.0}}, "predict.overlap: 1.0 is greater than"),
        ({"selection": [0]}, "selection.0: 0 is less than the minimum of 1"),
        ({"selection": []}, "selection: [] should be non-empty"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_one_sentence(make_package, changes, sentence):
    folder = make_package(**changes)
    with pytest.raises(UserError) as error:
        maskmake.load(folder)
    assert str(error.value).startswith(f"{folder / 'preprocessing.json'}: {sentence}")


def test_a_setting_of_a_later_version_is_no_obstacle(make_package):
    image = noise(40, 50)
    model = maskmake.load(make_package(predict=TILING | {"later": 1}))
    np.testing.assert_array_equal(model.predict(image).mask, image > 127)


@USES
def test_a_name_that_no_file_can_have_is_one_sentence(make_package, use):
    sums = make_package() / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{'0' * 64}  {'a' * 300}\n")
    with pytest.raises(UserError) as error:
        use(sums.parent)
    sentence = f"{sums.parent / ('a' * 300)}: File name too long; expected a file of the package;"
    assert str(error.value).startswith(sentence)
