"""ImageNet weights are fetched before a training that asks for them, from a server of ours."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest
from workspace import FATAL_HOOK, configure, finish, half_written, planned, snakemake

WEIGHTS = "results/weights/resnet18.h5"
MODEL = "results/tiny/runs/{}/fold0/model.keras"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(folder, tmp_path):
    """A folder on a server; ``folder`` has a run ``a`` with weights and a run ``b`` without.

    The weights that the tests make are random numbers, from which little is learned.
    """
    configure(
        folder, runs={"a": {"train": {"encoder_weights": "imagenet", "guard": False}}, "b": {}}
    )
    served = tmp_path / "served"
    served.mkdir()
    handler = partial(Handler, directory=served)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served, f"http://127.0.0.1:{server.server_port}/weights.h5"
        server.shutdown()
        thread.join()


def library_that_names(address, md5, tmp_path):
    """An environment in which the library's own table of weights names another file."""
    (tmp_path / "sitecustomize.py").write_text(
        "from classification_models.weights import WEIGHTS_COLLECTION\n"
        "for entry in WEIGHTS_COLLECTION:\n"
        f"    entry.update(url={address!r}, md5={md5!r})\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


def write_weights(path):
    """Weights of a ResNet-18 in the layout of Keras 2, all 0.01, and the MD5 of the file."""
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    from maskmake.network.networks import _import_library, _legacy_modules

    encoder = _import_library().Backbones.get_backbone(
        "resnet18", input_shape=(None, None, 3), include_top=False, **_legacy_modules()
    )
    encoder.set_weights([np.full(weight.shape, 0.01) for weight in encoder.weights])
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, encoder)
    return hashlib.md5(path.read_bytes()).hexdigest()


# The rule alone is tested below; this trains and scores with a large network.
@pytest.mark.slow
def test_weights_are_fetched_once_and_needed_for_training_alone(folder, served, tmp_path):
    """Through masks and scores, with a network of the library, of which others have a stand-in."""
    source, address = served
    library = library_that_names(address, write_weights(source / "weights.h5"), tmp_path)
    assert "resnet18-weights" not in planned(folder, MODEL.format("b"))
    finish(folder, MODEL.format("a"), environment=library)
    assert (folder / WEIGHTS).read_bytes() == (source / "weights.h5").read_bytes()

    (source / "weights.h5").unlink()
    assert "resnet18-weights" not in planned(folder, MODEL.format("a"), "--forcerun", "train_fold")
    (folder / WEIGHTS).unlink()
    finish(folder, "results/tiny/runs/a/metrics.json", "--cores", "2", small=False)


def test_a_killed_download_is_done_again(folder, served, tmp_path):
    source, address = served
    library = library_that_names(address, write_weights(source / "weights.h5"), tmp_path)
    with (tmp_path / "sitecustomize.py").open("a") as file:
        file.write(FATAL_HOOK.read_text())
    killed = {**library, "FATAL": "both os.rename resnet18.h5$"}
    assert snakemake(folder, WEIGHTS, environment=killed).code != 0
    assert not (folder / WEIGHTS).exists() and half_written(folder) != []
    assert "fetch_weights: the last attempt, process" in finish(
        folder, WEIGHTS, environment={**library, "FATAL": "none open nothing"}
    )
    assert (folder / WEIGHTS).read_bytes() == (source / "weights.h5").read_bytes()
    assert half_written(folder) == []


def test_a_file_with_another_checksum_is_refused(folder, served, tmp_path):
    source, address = served
    (source / "weights.h5").write_bytes(b"another file")
    code, output = snakemake(
        folder, WEIGHTS, environment=library_that_names(address, "0" * 32, tmp_path)
    )
    assert code != 0
    lines = [line for line in output.splitlines() if line.startswith(f"{address}: checksum")]
    assert f"put the file by hand at {WEIGHTS}" in lines[-1]
    assert "Traceback" not in output
    assert half_written(folder) == []
    assert not (folder / WEIGHTS).exists()


def test_a_file_of_another_encoder_is_refused(finished_copy):
    """Put there by hand, as on a machine without a network."""
    folder = finished_copy
    configure(folder, runs={"a": {"train": {"encoder_weights": "imagenet"}}})
    (folder / WEIGHTS).parent.mkdir(parents=True)
    with h5py.File(folder / WEIGHTS, "w") as file:
        file.attrs["layer_names"] = []
    code, output = snakemake(folder, MODEL.format("a"), small=False)
    assert code != 0
    lines = [line for line in output.splitlines() if line.startswith(f"{WEIGHTS}: does not fit")]
    assert "expected its ImageNet weights" in lines[0]
    assert "Traceback" not in output
    assert not (folder / MODEL.format("a")).exists()
