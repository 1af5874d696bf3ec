"""Model folders from elsewhere: each damage is named, and nothing in them is executed."""
# ruff: noqa: E402 - the device is chosen before Keras is imported

import contextlib
import io
import json
import os
import shutil
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

from maskmake.network.device import select_device

select_device("tensorflow", 0, os.devnull)

import h5py
import imagecodecs
import keras
import numpy as np
import pytest
from saved_runs import build_small_network, write_fold

from maskmake.data.images import read_pixels
from maskmake.masks.decision import read_decision
from maskmake.masks.run_folds import list_folds
from maskmake.network import saved_networks
from maskmake.network.networks import build_network, save_network
from maskmake.network.saved_networks import load_network
from maskmake.network.settings import PredictSettings
from maskmake.predict.review import review_shards
from maskmake.predict.segmentation import segment_images
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_json, write_json
from maskmake.runtime.log import logger
from maskmake.snakefile.locations import trained_folds

pytestmark = pytest.mark.long

SETTINGS = PredictSettings(tile=32, overlap=0.5, tta=False)
SECONDS, MEMORY = 2, 300 * 2**20
NAMES = [f"g{number}" for number in range(30)]
KERNEL = "layers/conv2d/vars/0"
DECISION = {
    "method": "one_level",
    "threshold": 0.5,
    "min_object": 0,
    "min_hole": 0,
    "upper": None,
    "min_seed": 0,
    "temperature": 1.0,
    "validation": {"foreground": [0.5], "expected_mean_dice": [0.9]},
}


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The folder of a run of one fold whose foreground is what is brighter than 127."""
    run = tmp_path_factory.mktemp("whole") / "run"
    write_fold(run / "fold0", scale=[0.25], offset=[-127.5 / 4])
    write_json(run / "decision.json", DECISION)
    write_json(run / "run.json", list_folds(*files_of(run, 1)))
    return run


@pytest.fixture
def run(whole, tmp_path, monkeypatch) -> Path:
    """A copy of that run, to be damaged, without its list of folds."""
    monkeypatch.setattr(saved_networks, "build_network", build_small_network)
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run/run.json").unlink()
    return tmp_path / "run"


@pytest.fixture
def image(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def files_of(run, folds):
    names = "model.keras", "training.json"
    return [[run / f"fold{fold}" / name for fold in range(folds)] for name in names]


def segment(run, image, out):
    """The mask of an image, as the rule makes it: by the folds that belong to the run."""
    listed = run / "run.json"
    folds = [Path(fold) for fold in trained_folds(str(run))]
    segment_images(
        [str(image)],
        folds,
        run / "decision.json",
        SETTINGS,
        out,
        listed if listed.is_file() else None,
    )
    return read_pixels(out / "a.png")


def expected_mask(image):
    return (read_pixels(image) > 127) * 255


@contextlib.contextmanager
def within_bounds():
    """Check the processor time and the memory of what is refused."""
    tracemalloc.start()
    start = time.process_time()
    try:
        yield
    finally:
        taken, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert taken < SECONDS and peak < MEMORY


def change_json(path, keys, value):
    contents = json.loads(path.read_text())
    place = contents
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    path.write_text(json.dumps(contents))


# --- decision.json and training.json ----------------------------------------------------------

DEEP = "[" * 100_000
DECISIONS = [
    ("threshold", float("nan")),
    ("threshold", "0.5"),
    ("threshold", None),
    ("threshold", -5),
    ("threshold", 1.5),
    ("threshold", True),
    ("threshold", ...),
    ("min_object", 1e30),
    ("min_object", -1),
    ("min_object", ...),
    ("min_hole", 2.5),
    ("upper", 2),
    ("temperature", 0),
    ("temperature", float("nan")),
    ("temperature", "x"),
    ("method", "three_level"),
    ("validation", {"foreground": ["x"], "expected_mean_dice": [None]}),
]


@pytest.mark.parametrize(("key", "value"), DECISIONS)
def test_a_decision_with_a_wrong_value_is_named(run, image, tmp_path, key, value):
    change_json(run / "decision.json", [key], value)
    with within_bounds(), pytest.raises(UserError) as error:
        segment(run, image, tmp_path / "out")
    text = str(error.value)
    assert text.startswith(f"{run}/decision.json: ") and text.endswith("makes it.")
    assert key in text or "NaN" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"a": 1', DEEP, '{"threshold": 1e999}', b"\xff", b"\0" * (2**25 + 1)],
    ids=["empty", "no keys", "list", "null", "cut", "deep", "infinite", "bytes", "huge"],
)
@pytest.mark.parametrize("name", ["decision.json", "fold0/training.json", "run.json"])
def test_a_document_that_is_none_is_named(run, image, tmp_path, name, content):
    (run / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with within_bounds(), pytest.raises(UserError, match=name):
        segment(run, image, tmp_path / "out")


def test_the_review_refuses_what_segment_refuses(run):
    """It reads only the same file, and is a job of its own."""
    change_json(run / "decision.json", ["validation", "foreground"], ["x"])
    with pytest.raises(UserError, match=r"validation\.foreground"):
        review_shards([], read_decision(run / "decision.json", any_version=True))


TRAININGS = [
    (["preprocessing", "channels"], "1"),
    (["preprocessing", "channels"], 0),
    (["preprocessing", "channels"], 2),
    (["preprocessing", "dtype"], "object"),
    (["preprocessing", "dtype"], "no such"),
    (["preprocessing", "dtype"], "float64"),
    (["preprocessing", "scale"], [1.0, 2.0]),
    (["preprocessing", "offset"], []),
    (["settings", "backend"], "../../x"),
    (["settings", "backend"], "numpy"),
    (["settings", "backend"], None),
    (["settings", "architecture"], "eval"),
    (["settings", "encoder"], "__import__"),
    (["settings", "encoder"], "resnet1"),
    (["settings", "patch"], 10**9),
    (["settings"], ...),
    (["precision"], "int8"),
    (["parameters"], 10**12),
    (["parameters"], 3),
]


@pytest.mark.parametrize(("keys", "value"), TRAININGS)
def test_a_training_record_with_a_wrong_value_is_named(run, image, tmp_path, keys, value):
    saved_networks.known_encoders()  # which imports the library
    change_json(run / "fold0/training.json", keys, value)
    with within_bounds(), pytest.raises(UserError, match=r"fold0/training\.json|says 3") as error:
        segment(run, image, tmp_path / "out")
    assert keys[-1] in str(error.value) or "numbers" in str(error.value)


# --- model.keras ------------------------------------------------------------------------------


def parts_of(model):
    with zipfile.ZipFile(model) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_parts(model, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(model, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def change_arrays(model, change):
    """Let a function change the arrays of a model."""
    parts, buffer = parts_of(model), io.BytesIO(parts_of(model)["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file, model.parent)
    write_parts(model, {**parts, "model.weights.h5": buffer.getvalue()})


def not_finite(file, _):
    file[KERNEL][...] = np.nan


def external_storage(file, folder):
    (folder / "secret.bin").write_bytes(np.ones(1, "f4").tobytes())
    shape = file[KERNEL].shape
    del file[KERNEL]
    place = [(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(KERNEL, shape, "f4", external=place)


def external_link(file, folder):
    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = file[KERNEL][...]
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def link_to_itself(file, _):
    del file[KERNEL]
    file[KERNEL] = h5py.SoftLink("/" + KERNEL)


def group_in_itself(file, _):
    file["layers/again"] = file["layers"]
    file["layers/conv2d/more"] = np.ones(3, "f4")


def virtual(file, folder):
    shape = file[KERNEL].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape)
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def four_tebibytes(file, _):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**40,), "f4")


def deflated(file, _):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**28,), "f4", compression="gzip", chunks=(2**20,))


def missing(file, _):
    del file[KERNEL]


def another_shape(file, _):
    del file[KERNEL]
    file[KERNEL] = np.ones(1, "f4")


def another_name(file, _):
    file.move(KERNEL, "layers/dense/vars/0")


def doubles(file, _):
    values = file[KERNEL][...].astype("f8")
    del file[KERNEL]
    file[KERNEL] = values


def texts(file, _):
    file["layers/conv2d/vars/2"] = "text"


def one_more(file, _):
    file["layers/conv2d/vars/2"] = np.ones(1, "f4")


def group_of_the_newer_kind(file, _):
    """Its links may lie in a heap that is compressed, and unpack to any size."""
    file.create_group("layers/newer", track_order=True)


ARRAYS = [
    not_finite, external_storage, external_link, link_to_itself, group_in_itself, virtual,
    four_tebibytes, deflated, missing, another_shape, another_name, doubles, texts, one_more,
    group_of_the_newer_kind,
]  # fmt: skip


@pytest.mark.parametrize("change", ARRAYS, ids=lambda change: change.__name__)
def test_arrays_that_are_not_those_of_the_network_are_refused(run, image, tmp_path, change):
    change_arrays(run / "fold0/model.keras", change)
    with within_bounds(), pytest.raises(UserError, match=r"fold0/model\.keras: "):
        segment(run, image, tmp_path / "out")


def test_a_model_of_countless_groups_is_refused(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "MOST_OBJECTS", 30)
    change_arrays(run / "fold0/model.keras", lambda file, _: list(map(file.create_group, NAMES)))
    with pytest.raises(UserError, match=r"fold0/model\.keras: .*more than 30 groups and arrays"):
        segment(run, image, tmp_path / "out")


def test_a_model_of_countless_arrays_is_refused(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "MOST_ARRAYS", 30)
    change_arrays(
        run / "fold0/model.keras",
        lambda file, _: [file.create_dataset(name, data=np.float32([1])) for name in NAMES],
    )
    with pytest.raises(UserError, match=r"fold0/model\.keras: .*more than 30 arrays"):
        segment(run, image, tmp_path / "out")


def cut(model):
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])


def empty(model):
    model.write_bytes(b"")


def text(model):
    model.write_text("version https://example.org/pointer")


def flipped(model):
    content = bytearray(model.read_bytes())
    place = content.index(b"\x89HDF") + 3000  # among the arrays
    content[place] ^= 0x40
    model.write_bytes(content)


def bare_hdf5(model):
    model.write_bytes(parts_of(model)["model.weights.h5"])


def bomb(model):
    write_parts(
        model,
        {**parts_of(model), "model.weights.h5": bytes(2**24)},
        zipfile.ZIP_DEFLATED,
    )


def zeroed_middle(model):
    content = model.read_bytes()
    model.write_bytes(content[:1000] + bytes(len(content) - 2000) + content[-1000:])


def zeros(model):
    write_parts(model, {**parts_of(model), "model.weights.h5": bytes(1000)})


def root_of_the_newer_kind(model):
    parts, buffer = parts_of(model), io.BytesIO()
    with (
        h5py.File(io.BytesIO(parts["model.weights.h5"])) as old,
        h5py.File(buffer, "w", track_order=True) as new,
    ):
        old.copy("layers", new)
    write_parts(model, {**parts, "model.weights.h5": buffer.getvalue()})


def a_terabyte_claimed(model):
    content = bytearray(model.read_bytes())
    place = content.index(b"model.weights.h5", content.index(b"PK\1\2")) - 46
    content[place + 20 : place + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    model.write_bytes(content)


def foreign_bytes_beside(model):
    write_parts(model, {**parts_of(model), "more": bytes(saved_networks.MOST_BESIDE)})


def no_arrays(model):
    write_parts(model, {"config.json": b"{}"})


FILES = [
    cut, empty, text, flipped, bare_hdf5, bomb, zeroed_middle, zeros, no_arrays,
    root_of_the_newer_kind, a_terabyte_claimed, foreign_bytes_beside,
]  # fmt: skip


@pytest.mark.parametrize("damage", FILES, ids=lambda damage: damage.__name__)
def test_a_model_that_is_not_whole_is_refused(run, image, tmp_path, damage):
    damage(run / "fold0/model.keras")
    with within_bounds(), pytest.raises(UserError, match=r"fold0/model\.keras: "):
        segment(run, image, tmp_path / "out")


def test_a_model_for_which_there_is_no_memory_is_named(run, image, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_networks, "available_memory", lambda: 2000)
    with pytest.raises(UserError, match=r"fold0/model\.keras: no memory .* GiB are free"):
        segment(run, image, tmp_path / "out")


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def layer(module, kind, **config):
    return {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "s", "layers": [{
            "module": module, "class_name": kind, "registered_name": None, "name": "x",
            "config": {"name": "x", **config}, "inbound_nodes": [],
        }]},
    }  # fmt: skip


PROGRAMS = {
    "os.system": lambda mark: layer(
        "keras.layers", "Lambda", function=function("os", "system"),
        arguments={"command": f"touch {mark}"},
    ),
    "subprocess": lambda mark: {
        "module": "subprocess", "class_name": "Popen", "registered_name": None,
        "config": {"args": ["touch", str(mark)]},
    },
    "get_file": lambda mark: layer(
        "keras.layers", "Lambda", function=function("keras.utils", "get_file"),
        arguments={"origin": "http://127.0.0.1:9/x", "fname": str(mark)},
    ),
    "unsafe": lambda mark: layer(
        "keras.layers", "Lambda",
        function=function("keras.config", "enable_unsafe_deserialization"),
    ),
    "a local file": lambda mark: layer("keras.layers", "StringLookup", vocabulary="/etc/hostname"),
    "any module": lambda mark: layer("antigravity", "X"),
    "10^12 units": lambda mark: layer("keras.layers", "Dense", units=10**12),
    "no JSON": lambda mark: "{{{",
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_model_says_of_its_layers_is_never_read(run, image, tmp_path, program):
    model, mark = run / "fold0/model.keras", tmp_path / "executed"
    config = PROGRAMS[program](mark)
    content = config if isinstance(config, str) else json.dumps(config)
    outside = [tmp_path / "escaped.txt", tmp_path / "elsewhere/escaped.txt"]
    members = {"config.json": content, "../../escaped.txt": b"x", str(outside[1]): b"x"}
    write_parts(model, {**parts_of(model), **members})
    np.testing.assert_array_equal(segment(run, image, tmp_path / "out"), expected_mask(image))
    assert not any(path.exists() for path in (mark, *outside))


def test_a_network_is_the_one_that_was_saved(tmp_path):
    """A real one, built from its settings, and Keras opens its file by itself."""
    scale, offset = [0.017], [-1.5]
    keras.utils.set_random_seed(3)
    network = build_network("Unet", "resnet18", False, 1, 32, scale, offset, "float32")
    write_fold(tmp_path / "fold0")
    save_network(network, tmp_path / "fold0/model.keras")
    record = read_json(tmp_path / "fold0/training.json")
    record["preprocessing"] |= {"scale": scale, "offset": offset}
    record["parameters"] = network.count_params()
    write_json(tmp_path / "fold0/training.json", record)
    loaded, _ = load_network(tmp_path / "fold0")
    opened = keras.models.load_model(tmp_path / "fold0/model.keras", compile=False)
    for other in (loaded, opened):
        for one, saved in zip(other.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(one, saved)
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1)).astype("float32")
    np.testing.assert_array_equal(loaded(images), network(images))
    np.testing.assert_allclose(opened(images), network(images), atol=1e-4)

    change = {**record, "settings": {**record["settings"], "architecture": "Linknet"}}
    write_json(tmp_path / "fold0/training.json", change)
    with pytest.raises(UserError, match=r"training\.json: says 14334292 parameters, but"):
        load_network(tmp_path / "fold0")


# --- which folds belong to the run ------------------------------------------------------------


@pytest.fixture
def listed(run, whole) -> Path:
    """The run with its list of folds."""
    shutil.copy(whole / "run.json", run)
    return run


@pytest.mark.parametrize("left", ["fold1", "fold0.bak", "folds"])
def test_a_folder_that_is_no_fold_of_the_run_is_left_out(
    listed, image, tmp_path, caplog, monkeypatch, left
):
    monkeypatch.setattr(logger, "propagate", True)
    write_fold(listed / left, scale=[0.25], offset=[-10.0])  # another network
    mask = segment(listed, image, tmp_path / "out")
    np.testing.assert_array_equal(mask, expected_mask(image))
    assert f"left out, since not a fold of the run: {left}." in caplog.text


@pytest.mark.parametrize("name", ["model.keras", "training.json"])
def test_a_file_of_another_run_is_refused(listed, image, tmp_path, name):
    write_fold(tmp_path / "other/fold0", offset=[-10.0], bias=1.0)
    shutil.copy(tmp_path / "other/fold0" / name, listed / "fold0" / name)
    with pytest.raises(UserError, match=rf"fold0/{name}: other bytes \(SHA-256\) than .*run\.json"):
        segment(listed, image, tmp_path / "out")


def test_a_fold_that_is_listed_and_missing_is_named(listed, image, tmp_path):
    (listed / "fold0").rename(listed / "fold7")
    with pytest.raises(UserError, match=r"fold0/model\.keras is missing"):
        segment(listed, image, tmp_path / "out")


def test_a_run_of_an_earlier_version_takes_its_numbered_folds_with_a_warning(
    run, image, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(logger, "propagate", True)
    write_fold(run / "fold0.bak", scale=[0.25], offset=[-10.0])
    mask = segment(run, image, tmp_path / "out")
    np.testing.assert_array_equal(mask, expected_mask(image))
    said = "of an earlier version, without run.json that lists its folds; taken: fold0."
    assert caplog.text.count(said) == 1
    assert "left out, since not a fold of the run: fold0.bak." in caplog.text


def test_folds_of_an_earlier_version_have_no_gap(run, image, tmp_path):
    shutil.copytree(run / "fold0", run / "fold2")
    with pytest.raises(UserError, match=r"found the folds 0, 2 in .*without a gap"):
        segment(run, image, tmp_path / "out")


def test_a_fold_that_was_trained_otherwise_is_refused(run, image, tmp_path):
    """Left by an earlier training, as only its settings can tell in a run of an earlier version."""
    shutil.copytree(run / "fold0", run / "fold1")
    change_json(run / "fold1/training.json", ["settings", "steps"], 99)
    with pytest.raises(UserError, match=r"fold1/training\.json: other settings than"):
        segment(run, image, tmp_path / "out")
