"""What a long step says of its progress."""

import io
import sys

from maskmake.runtime import progress


def test_the_items_pass_and_a_terminal_shows_them(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "HIDDEN_SECONDS", 0)
    assert list(progress.tracked("abc", "images read", 3)) == ["a", "b", "c"]
    assert "images read: 0 of 3" in stream.getvalue()


def test_a_file_gets_a_line_after_a_minute_and_no_bar(monkeypatch, capsys, caplog):
    monkeypatch.setattr(progress.logger, "propagate", True)
    monkeypatch.setattr(progress.logger, "handlers", [])  # those that other tests have left
    clock = iter([0, 61, 70, 122])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level("INFO", logger="maskmake"):
        list(progress.tracked("abc", "images read", 3))
    assert caplog.messages == [
        "images read: 1 of 3, 02:02 left",
        "images read: 3 of 3, 00:00 left",
    ]
    assert capsys.readouterr().err == ""
