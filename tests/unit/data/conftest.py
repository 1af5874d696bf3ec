"""A data set of four right pairs."""

from pathlib import Path

import pytest
from auditing import grey, half, save


@pytest.fixture
def four_pairs(tmp_path, monkeypatch):
    """Four right pairs, 0 to 3, in the folders images and labels of the working directory."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        save(Path(f"images/{number}.png"), grey(number))
        save(Path(f"labels/{number}.png"), half())
    return tmp_path
