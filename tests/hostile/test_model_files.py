"""Files of a network from elsewhere: each damage is named, and nothing in them is executed."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
from run_folders import expected_mask, segment, within_bounds
from saved_runs import write_fold

from maskmake.network import saved_networks
from maskmake.network.networks import build_network, save_network
from maskmake.network.saved_networks import load_network
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_json, write_json

pytestmark = pytest.mark.long

NAMES = [f"g{number}" for number in range(30)]
KERNEL = "layers/conv2d/vars/0"


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
    import keras  # once its device is chosen

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
