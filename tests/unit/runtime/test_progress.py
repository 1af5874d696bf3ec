"""What a long step says of its progress."""

import io
import logging
import re
import sys
import time

from maskmake.runtime import progress, pulse


def test_the_items_pass_and_a_terminal_shows_them(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "HIDDEN_SECONDS", 0)
    assert list(progress.tracked("abc", "images read", 3)) == ["a", "b", "c"]
    assert "images read: 0 of 3" in stream.getvalue()


def test_a_file_gets_a_line_where_there_was_none_for_long_and_no_bar(monkeypatch, capsys, caplog):
    for name in ("SECOND", "SOON"):
        monkeypatch.setattr(pulse, name, getattr(pulse, name) / 20)
    stream = io.StringIO()
    monkeypatch.setattr(pulse.LOGGER, "handlers", [logging.StreamHandler(stream)])
    caplog.set_level(logging.INFO, pulse.LOGGER.name)
    with pulse.alive("mask_run"):
        for item in progress.tracked("abc", "masks", 3):
            time.sleep(0.75 if item == "b" else 0)
    assert re.fullmatch(r"(masks: 1 of 3, \d\d:\d\d left\n)+", stream.getvalue())
    assert capsys.readouterr().err == ""


def test_a_bar_may_outlive_its_job():
    """As where a fault stops the loop over the items and holds on to them."""
    with pulse.alive("a_job"):
        items = progress.tracked([1, 2], "read", total=2)
        next(items)
    items.close()
