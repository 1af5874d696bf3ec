"""What is asked of each run that is refused: one sentence, an exit code, nothing half written."""

import re

import pytest
from workspace import half_written, snakemake


def refusal(folder, *arguments, **options) -> str:
    """The output of a run that has to fail without a traceback and without half-written files."""
    code, output = snakemake(folder, *arguments, **options)
    assert code != 0, output
    assert "Traceback (most recent call last)" not in output
    assert half_written(folder) == []
    return output


def assert_told_once(output, *parts):
    """Exactly one line has all the parts, apart from its repetition at the end of a run."""
    lines = [line for line in output.splitlines() if all(part in line for part in parts)]
    said = {re.sub(r"^\w+( \(.*?\))?: ", "", line) for line in lines}
    assert len(said) == 1, output


# Each sentence is tested to the letter where it is made, by the unit tests of the audit, of the
# configuration and of the splits. Of the runs that are refused with one, a few stand for all.
slow = pytest.mark.slow
