"""Reports of constructed results, which the tests of their sentences read."""

from functools import partial

import pytest
from reports import RESULTS, Report, read_report, write_undrawn_report


@pytest.fixture(scope="module", params=RESULTS)
def report(request, make_once) -> Report:
    """The texts and the files of each of ``RESULTS``. Only to be read."""
    write = partial(write_undrawn_report, RESULTS[request.param])
    return read_report(make_once(f"report, {request.param}", write))
