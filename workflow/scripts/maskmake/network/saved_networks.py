"""Trained networks from their files: built again by maskmake, only their numbers are read.

``model.keras`` describes the network in a language of its own, which can name functions. This is
never read. What there is to build says ``training.json``, and of ``model.keras`` only the arrays
are taken, after they have been checked.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import numpy as np

from maskmake.network.networks import build_network, known_encoders
from maskmake.network.settings import Preprocessing, TrainingRecord, read_training
from maskmake.runtime.errors import UserError, first_line
from maskmake.runtime.memory import available_memory

ARRAYS = "model.weights.h5"
# Groups and arrays, arrays alone, and bytes beside the numbers. SENet-154 has most, some 3,200
# grouped convolutions: 18,930, 4,187 and 17 MB in a U-Net; the slow tests load all 128 networks.
MOST_OBJECTS, MOST_ARRAYS, MOST_BESIDE = 40_000, 8_000, 2**25
# Reading takes the member once, its largest array once more, and a byte for each of its numbers.
COPIES = 2.25
# What HDF5 keeps in heaps that may be compressed, as bits of the messages of a header: links,
# filters and attributes of the newer kind. Nothing limits what such a heap unpacks to, and Keras
# writes none. Without them, HDF5 takes no more memory than the member has bytes.
COMPRESSIBLE = 1 << 0x02 | 1 << 0x0B | 1 << 0x15
# The state of a layer that draws random numbers; no number of the network.
RANDOM_STATE = "seed_generator/vars/0"

REMEDY = "copy the folder of the run again from where it was trained, or train again."


def load_network(
    folder: str | Path, precision: str | None = None
) -> tuple[keras.Model, TrainingRecord]:
    """Build the network of a fold and set its numbers to those that were trained.

    Args:
        folder: of the fold, with ``model.keras`` and ``training.json``.
        precision: ``float32`` or ``bfloat16``; None: as it was trained.

    Returns:
        The network, see ``build_network``, and the contents of ``training.json``.

    Raises:
        UserError: a file is damaged, or the two are not of one training.
    """
    path, training = Path(folder, "model.keras"), Path(folder, "training.json")
    record = read_training(training)
    check_arrays(path, record["parameters"])
    network = _build(training, record, precision or record["precision"])
    if network.count_params() != record["parameters"]:
        raise UserError(
            f"{training}: says {record['parameters']} parameters, but its network has "
            f"{network.count_params()}; {REMEDY}"
        )
    try:
        network.load_weights(path)
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its arrays have other names or shapes than those of the network in "
            f"{training} ({first_line(error)}); {REMEDY}"
        ) from error
    return network, record


def load_folds(folds: list[Path]) -> tuple[list[keras.Model], Preprocessing]:
    """Networks of all folds and the preprocessing that they share.

    Raises:
        UserError: the files of a fold are damaged, or it was trained otherwise than the first one,
            so that it belongs to another run.
    """
    networks, records = zip(*map(load_network, folds), strict=True)
    first = records[0]
    for fold, record in zip(folds, records, strict=True):
        for key, shared in _shared_parts(record).items():
            if shared != _shared_parts(first)[key]:
                raise UserError(
                    f"{fold / 'training.json'}: other {key} than {folds[0] / 'training.json'}; "
                    "expected the folds of one run; remove the folder of a fold that a former "
                    "training left, or copy the folder of the run again."
                )
    return list(networks), first["preprocessing"]


def _shared_parts(training: TrainingRecord) -> dict[str, Mapping]:
    """What all folds of a run share: with ``train.minutes`` each has a length of its own."""
    settings: Mapping = training["settings"]
    if settings.get("minutes") is not None:
        settings = {k: v for k, v in settings.items() if k not in ("steps", "epochs")}
    return {"settings": settings, "preprocessing": training["preprocessing"]}


def _build(training: Path, record: TrainingRecord, precision: str) -> keras.Model:
    settings, preprocessing = record["settings"], record["preprocessing"]
    if settings["encoder"] not in known_encoders():
        raise UserError(
            f"{training}: settings.encoder: '{settings['encoder']}' is no encoder of "
            f"segmentation_models; {REMEDY}"
        )
    return build_network(
        settings["architecture"],
        settings["encoder"],
        settings["encoder_weights"] is not None,
        preprocessing["channels"],
        settings["patch"],
        preprocessing["scale"],
        preprocessing["offset"],
        precision,
    )


def check_arrays(path: str | Path, parameters: int) -> None:
    """Refuse arrays that cannot be those of a network, before one is built.

    Names and shapes are compared when the network is there: by Keras, which leaves out an array
    that it does not know. The count of all numbers shows that none was left out.

    Args:
        path: ``model.keras``.
        parameters: the count of all numbers in the arrays.

    Raises:
        UserError: the file is no archive or is damaged, is larger than that many numbers or the
            memory, has other things than plain arrays, has another count of numbers, or one that is
            not finite.
    """
    try:
        found = _count_numbers(_read_member(Path(path), parameters))
    except UserError as error:
        raise UserError(f"{path}: {error}; {REMEDY}") from None
    except (KeyError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)}); {REMEDY}") from error
    except MemoryError as error:
        raise UserError(
            f"{path}: no memory to read it ({first_line(error)}); close what else uses memory."
        ) from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: damaged ({first_line(error)}); {REMEDY}") from error
    if found != parameters:
        raise UserError(
            f"{path}: holds {found} numbers, but training.json says {parameters}; {REMEDY}"
        )


def _read_member(path: Path, parameters: int) -> bytes:
    # Of the file as it lies on the disk: what an archive claims can be anything.
    size, most = path.stat().st_size, 4 * parameters + MOST_BESIDE
    if size > most:
        raise UserError(
            f"has {size} bytes; expected at most {most} for the {parameters} parameters of "
            "training.json"
        )
    needed, free = COPIES * size, available_memory()
    if needed > free:
        raise MemoryError(f"it needs {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(ARRAYS)
        if member.compress_type != zipfile.ZIP_STORED:  # a bomb would be
            raise UserError(f"{ARRAYS} is compressed; expected it as Keras writes it")
        if member.file_size > size:
            raise UserError(f"{ARRAYS} claims {member.file_size} bytes in a file of {size}")
        return archive.read(member)  # to its end, which compares its checksum


def _count_numbers(content: bytes) -> int:
    """Count of the numbers in all arrays of an HDF5 file, each an array of finite float32.

    Links to other files and to other names are not followed, so what lies behind them is missing.
    """
    with h5py.File(io.BytesIO(content), "r") as file:
        arrays = [file[name] for name in _array_names(file)]
        for array in arrays:
            _check_array(array, len(content))
        numbers = [array for array in arrays if not array.name.endswith(RANDOM_STATE)]
        for array in numbers:
            if not np.isfinite(array[()]).all():
                raise UserError(f"{ARRAYS}: {array.name} holds a number that is not finite")
        return sum(array.size for array in numbers)


def _array_names(file: h5py.File) -> list[str]:
    """Names of all arrays; an object with several names is listed once."""
    names, objects = [], 0

    def look(name: bytes, info) -> None:
        nonlocal objects
        objects += 1
        if objects > MOST_OBJECTS:
            raise UserError(f"{ARRAYS} has more than {MOST_OBJECTS} groups and arrays")
        if info.hdr.mesg.present & COMPRESSIBLE:
            raise UserError(f"{ARRAYS}: {name.decode()} is kept in a way that Keras does not use")
        if info.type == h5py.h5o.TYPE_DATASET:
            names.append(name.decode())
            if len(names) > MOST_ARRAYS:  # each takes half a millisecond to look at
                raise UserError(f"{ARRAYS} has more than {MOST_ARRAYS} arrays")
        elif info.type != h5py.h5o.TYPE_GROUP:
            raise UserError(f"{ARRAYS}: {name.decode()} is no array")

    look(b"/", h5py.h5o.get_info(file.id))
    # Without opening the groups, which would take three times as long.
    h5py.h5o.visit(file.id, look, info=True)
    return names


def _check_array(array: h5py.Dataset, most_bytes: int) -> None:
    """Refuse what is no plain array of float32, before its numbers are read."""
    if array.is_virtual or array.external or array.chunks:
        raise UserError(f"{ARRAYS}: {array.name} does not lie in one piece in this file")
    if array.dtype != np.float32 and not array.name.endswith(RANDOM_STATE):
        raise UserError(f"{ARRAYS}: {array.name} has the type {array.dtype}; expected float32")
    if array.dtype.itemsize * array.size > most_bytes:
        raise UserError(f"{ARRAYS}: {array.name} has {array.size} numbers, more than its file")
