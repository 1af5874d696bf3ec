"""Training speed of maskmake against other loops on the same machine, in turns.

    export PYTHONPATH=workflow/scripts
    .venv/bin/python benchmarks/speed.py ours bare article
    .venv/bin/python benchmarks/speed.py bare pytorch-float32 pytorch-bfloat16 --torch-python P
    .venv/bin/python benchmarks/speed.py ours --recipe deep='{deep_supervision: true}'

trains the U-Net with ResNet-34 on synthetic images, each loop in a process of its own:

- ours: a run of the workflow's training with all defaults: patches from the memory-mapped store,
  augmentation, AdamW, metrics, progress bar; ``--precision auto``. Validation and the files that
  are written at the end of an epoch are not counted.
- bare: the step of the same network alone, on one batch that is on the device.
- article: the loop of the tutorial that maskmake replaces (see config/article.yaml): a Keras
  ImageDataGenerator reads each PNG file again and augments it on the processor; float32, Adam.
- pytorch-float32, pytorch-bfloat16: the same network by segmentation-models-pytorch, its bare step,
  channels last, bfloat16 by autocast. ``--torch-python`` is an interpreter that has it
  (``pip install torch segmentation-models-pytorch``).

``--train`` are settings of ours and bare; each ``--recipe`` is one more loop, ours with these
settings laid over them.

The loops take turns of ``--block`` steps, and each figure is compared with its neighbours of the
same round. Run nothing else meanwhile: other work on the machine does not slow all loops alike.
Printed for each loop: seconds until its first step was done, which include the compilation; images
a second, median and best round; and how many times faster the first loop is, median over rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from dataset import repeat_files, write_set
from recipes import named

LOOPS = ["ours", "bare", "article", "pytorch-float32", "pytorch-bfloat16"]


class Contestant:
    """A loop in its process, which runs a block of steps when asked."""

    def __init__(self, name: str, kind: str, train: dict, folder: Path, options):
        """A loop of ``LOOPS``, ``kind``, under a name of its own, with settings of ``train``."""
        self.name, self.seconds, self.processor_seconds = name, [], []
        loop, _, precision = kind.partition("-")
        python = options.torch_python if loop == "pytorch" else sys.executable
        command = [python, str(Path(__file__).with_name("loops.py")), loop, str(folder)]
        settings = {"precision": precision or options.precision, "backend": options.backend}
        settings |= {key: vars(options)[key] for key in ("gpu", "patch", "batch", "block")}
        # The first step, a block not counted, the others, and one before which the last one ends.
        settings["steps"] = 2 + options.block * (options.rounds + 1)
        settings["train"] = json.dumps(train)
        for key, value in settings.items():
            command += [f"--{key}", str(value)]
        self._log = folder / f"{name}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.start = self._read()[0]
        self.run_block()  # not counted: buffers fill, memory is allocated
        self.seconds.clear()
        self.processor_seconds.clear()

    def run_block(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, processor = self._read()
        self.seconds.append(seconds)
        self.processor_seconds.append(processor)

    def _read(self) -> tuple[float, float]:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended early:\n{self._log.read_text()}")
        return tuple(map(float, line.split()))

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("loops", nargs="+", choices=LOOPS)
    parser.add_argument("--recipe", type=named, action="append", default=[], metavar="NAME=YAML")
    parser.add_argument("--train", default="{loss: bce}", help="section train, as YAML")
    parser.add_argument("--backend", default="tensorflow", help="Keras backend")
    parser.add_argument("--precision", default="auto", help="of ours and bare")
    parser.add_argument("--gpu", type=int, default=0, help="1 to train on a GPU")
    parser.add_argument("--patch", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=4, help="patches a step")
    parser.add_argument("--block", type=int, default=2, help="steps a turn")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each loop")
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--json", type=Path, help="file for the same figures and each round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Few are drawn: a slow processor takes four seconds for one of 512 x 512.
        write_set(Path(folder), count=20, size=options.patch, drawn=2)
        repeat_files(Path(folder), count=2 * options.batch)
        train = yaml.safe_load(options.train)
        loops = [(name, name, train) for name in options.loops]
        loops += [(name, "ours", train | yaml.safe_load(text)) for name, text in options.recipe]
        contestants = [Contestant(*loop, Path(folder), options) for loop in loops]
        for _ in range(options.rounds):
            for contestant in contestants:
                contestant.run_block()
        for contestant in contestants:
            contestant.stop()
    report(contestants, options)


def report(contestants: list[Contestant], options: argparse.Namespace) -> None:
    images, first = options.block * options.batch, contestants[0]
    rows = [
        {
            "loop": contestant.name,
            "first_step_seconds": contestant.start,
            "images_per_second": images / statistics.median(contestant.seconds),
            "best": images / min(contestant.seconds),
            "ratio": statistics.median(
                theirs / own for own, theirs in zip(first.seconds, contestant.seconds, strict=True)
            ),
            "processor_seconds": statistics.median(contestant.processor_seconds) / options.block,
            "seconds": contestant.seconds,
        }
        for contestant in contestants
    ]
    print(f"{'loop':17} {'first step':>10} {'images/s':>9} {'best':>8} {first.name:>8} is")
    for row in rows:
        print(
            f"{row['loop']:17} {row['first_step_seconds']:9.1f}s {row['images_per_second']:9.3f} "
            f"{row['best']:8.3f} {row['ratio']:7.3f} x"
        )
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        options.json.write_text(json.dumps({"options": settings, "loops": rows}, default=str))


if __name__ == "__main__":
    main()
