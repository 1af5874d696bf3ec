"""What a temperature did, in words for the report."""

from collections.abc import Mapping

import pandas as pd

from maskmake.glossary import counted, number

# Up to this temperature, or down to its inverse, probabilities need no correction.
HONEST = 1.05


def calibration_sentences(metrics: Mapping, per_image: pd.DataFrame) -> list[str]:
    """What the temperature did, and how far the expected Dice can be trusted, in plain words.

    Args:
        metrics: contents of ``metrics.json``.
        per_image: table of ``per_image.csv``.
    """
    temperature = metrics["temperature"]
    if temperature > HONEST:
        verdict = "overconfident: its probabilities are too close to 0 and 1"
    elif temperature < 1 / HONEST:
        verdict = "underconfident: its probabilities are too far from 0 and 1"
    else:
        verdict = "honest: its probabilities mean what they say"
    before, after = metrics["ece"], metrics["ece_calibrated"]
    change = "lowers" if after < before else "does not lower"
    sentences = [
        f"On the validation images the network is {verdict}. The temperature learned there is "
        f"{number(temperature, 2)}.",
        f"On the test images it {change} the calibration error: {number(before, 4)} before, "
        f"{number(after, 4)} after; the Brier score is {number(metrics['brier'], 4)} before and "
        f"{number(metrics['brier_calibrated'], 4)} after.",
    ]
    real = per_image[["foreground_dice", "background_dice"]].mean(axis=1)
    misses = (per_image["expected_mean_dice"] - real).dropna()
    if len(misses):
        sentences.append(
            "The Dice expected from the calibrated probabilities, without a label, misses the real "
            f"mean Dice of {counted(len(misses), 'test image')} by {number(misses.abs().mean(), 3)}"
            f" on average and by {number(misses.abs().max(), 3)} at most."
        )
    return sentences
