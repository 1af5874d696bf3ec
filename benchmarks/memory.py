"""Peak host memory of a training on few and on many images.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/memory.py 20 200 2000

trains the same small network for the same number of steps on each set, each in a process of its
own, and prints its peak resident memory in MiB: all of it, the process's own part, and the pages of
mapped files, which the system may take back (Linux only). Patches are small and many,
so that every image of the largest set is read.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = ["VmRSS", "RssAnon", "RssFile"]


def train(folder: Path, steps: int) -> None:
    """Train on the set of the folder."""
    from dataset import input_paths, train_settings

    from maskmake.network.device import select_device

    select_device("tensorflow", 0, os.devnull)
    from maskmake.train.training import train_fold

    settings = train_settings(encoder="resnet18", patch=32, batch=64, steps=steps, epochs=1)
    names = ("model.keras", "history.csv", "training.json", "augmented.npy")
    outputs = {name.split(".")[0]: folder / name for name in names}
    train_fold(settings, 0, "code", input_paths(folder), outputs)


def peaks(process: subprocess.Popen) -> dict[str, float]:
    """Largest value of each kind of resident memory while the process ran, in MiB."""
    status, most = Path(f"/proc/{process.pid}/status"), dict.fromkeys(KINDS, 0.0)
    while process.poll() is None:
        lines = (line.split() for line in status.read_text().splitlines())
        values = {words[0].rstrip(":"): words[1] for words in lines if len(words) > 1}
        for kind in KINDS:
            most[kind] = max(most[kind], int(values.get(kind, 0)) / 1024)
        time.sleep(0.05)
    return most


def main() -> None:
    from dataset import write_set

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="+", type=int, help="images of each set")
    parser.add_argument("--size", type=int, default=512, help="their height and width in pixels")
    parser.add_argument("--steps", type=int, default=150, help="of 64 patches of 32 x 32 pixels")
    options = parser.parse_args()
    print(f"{'images':>7} {'store':>7} {'peak':>7} {'own':>7} {'mapped':>7}  MiB")
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            write_set(Path(folder), count, options.size, drawn=4)
            store = sum(path.stat().st_size for path in Path(folder).glob("*.npy")) / 2**20
            command = [sys.executable, __file__, "--train", folder, str(options.steps)]
            with Path(folder, "log").open("w") as log:
                process = subprocess.Popen(command, stderr=log)
                most = peaks(process)
            if process.returncode:
                sys.exit(Path(folder, "log").read_text())
        print(f"{count:7} {store:7.0f} " + " ".join(f"{most[kind]:7.0f}" for kind in KINDS))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
