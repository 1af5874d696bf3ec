"""What the report says of the calibration of a run."""

import numpy as np
import pandas as pd
import pytest

from maskmake.report.sentences import calibration_sentences


@pytest.mark.parametrize(
    ("temperature", "after", "verdict", "change"),
    [
        (1.5, 0.01, "overconfident", "lowers"),
        (0.7, 0.01, "underconfident", "lowers"),
        (1.01, 0.03, "honest", "does not lower"),
    ],
)
def test_the_calibration_is_explained_in_sentences(temperature, after, verdict, change):
    metrics = {"temperature": temperature, "ece": 0.02, "ece_calibrated": after}
    metrics |= {"brier": 0.1, "brier_calibrated": 0.09}
    per_image = pd.DataFrame(
        {
            "foreground_dice": [0.9, np.nan, np.nan],
            "background_dice": [0.8, 0.9, np.nan],
            "mean_dice": [0.85, 0.9, np.nan],
            "expected_mean_dice": [0.80, 0.92, 1.0],
        }
    )
    text = " ".join(calibration_sentences(metrics, per_image))
    assert f"is {verdict}: " in text and f"it {change} the calibration error: 0.0200" in text
    assert "of 2 test images by 0.035 on average and by 0.050 at most" in text
