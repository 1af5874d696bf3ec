"""Trains in forked processes, one for each line of standard input, for tests that kill them.

Forking saves the import of TensorFlow, and a network of two layers most of its compilation. A line
is a JSON list: the arguments of ``train_fold``, the number of the file at whose end the process
gets a signal (0 for none), the signal, and the largest file in bytes that it may write (-1 for
any). Answers are lines too: the process id, later its wait status.
"""

import itertools
import json
import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import keras

from maskmake.network.device import select_device
from maskmake.network.settings import TrainSettings
from maskmake.runtime.log import job
from maskmake.train import checkpoints, engine, training


def small_network(*arguments, scale, offset, precision, encoder_weights=None):
    """Two convolutions with what a real network has: normalisation, batch statistics, dropout."""
    images = keras.Input((None, None, 1))
    x = keras.layers.Rescaling(scale[0], offset[0])(images)
    x = keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(x))
    return keras.Model(images, keras.layers.Conv2D(1, 3, padding="same")(x))


def send_at(count, number):
    """Send this process a signal as its file ``count`` is written, before it has its name."""
    fsync, files = os.fsync, itertools.count(1)

    def fsync_or_die(handle):
        if next(files) == count:
            os.kill(os.getpid(), number)
        fsync(handle)

    os.fsync = fsync_or_die


def train(settings, fold, code, inputs, outputs, at_file, number, largest):
    paths = [{key: Path(path) for key, path in group.items()} for group in (inputs, outputs)]
    log = str(paths[1]["model"].with_suffix(".log"))
    with job(SimpleNamespace(log=[log], rule="train_fold")):
        select_device("tensorflow", 0, log)
        engine.build_network = small_network
        checkpoints.WRITING_SHARE = 1  # the state of every epoch, however long its file takes
        send_at(at_file, number)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        training.train_fold(TrainSettings.from_section(settings), fold, code, *paths, True)


if __name__ == "__main__":
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            train(*json.loads(line))
            sys.exit()
        print(process, flush=True)
        print(os.waitpid(process, 0)[1], flush=True)
