"""Time to learn a decision on synthetic validation images.

    export PYTHONPATH=workflow/scripts
    taskset -c 0 .venv/bin/python benchmarks/decision.py

prints, for each objective, the seconds of processor time on 30 images of 512 x 512.
"""

import argparse
import time

import numpy as np
from scipy import ndimage
from scipy.special import expit

from maskmake.data.synthesis import synthesize
from maskmake.masks.learning import learn_decision
from maskmake.masks.objectives import OBJECTIVES
from maskmake.plan.mask_settings import choose_sizes
from maskmake.scores.cases import Case


def case(seed: int, size: int) -> Case:
    """A label, and a probability with soft borders, thin bridges and specks of all sizes."""
    _, label = synthesize(seed, size, 1)
    label = (label > 0).astype(np.uint8)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=label.shape), 2)
    soft = ndimage.gaussian_filter(label.astype(np.float32), 1.2) - 0.5
    probability = expit(10 * soft + 2 * noise / noise.std()).astype(np.float16)
    return Case(str(seed), label, probability)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--size", type=int, default=512, help="height and width in pixels")
    parser.add_argument("--objectives", nargs="+", choices=list(OBJECTIVES), default=["dice"])
    options = parser.parse_args()
    cases = [case(seed, options.size) for seed in range(options.images)]
    for objective in options.objectives:
        start = time.process_time()
        learned = learn_decision(lambda: iter(cases), objective, choose_sizes(512**2).value)
        seconds = time.process_time() - start
        print(f"{objective:12} {seconds:6.1f} s   {learned['method']}, {learned['score']:.4f}")


if __name__ == "__main__":
    main()
