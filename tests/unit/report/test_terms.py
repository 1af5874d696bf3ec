"""How durations, numbers and shares are written."""

import pytest

from maskmake.report.terms import counted, duration, number, percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.26, "0.3\u00a0s"),
        (9.97, "10\u00a0s"),
        (59.7, "1\u00a0min 00\u00a0s"),
        (3725, "1\u00a0h 02\u00a0min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_number_with_its_noun():
    assert [counted(n, "image") for n in (1, 2)] == ["1 image", "2 images"]
    assert [counted(n, "patch", "patches") for n in (1, 2)] == ["1 patch", "2 patches"]


def test_numbers():
    assert number(1234567.4, 0) == "1\u202f234\u202f567"
    assert number(float("nan"), 3) == "–"
    assert percent(0.1234) == "12.3\u00a0%"
