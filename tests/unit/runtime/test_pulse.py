"""A job is never silent for long, on a terminal and in a log."""

import io
import logging
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskmake.runtime import pulse
from maskmake.runtime.pulse import LOGGER, alive, step

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"


@pytest.fixture
def quick(monkeypatch):
    """A pulse twenty times as quick."""
    for name in ("SECOND", "HIDDEN", "SOON", "LATER"):
        monkeypatch.setattr(pulse, name, getattr(pulse, name) / 20)


def run(program, **streams):
    program = textwrap.dedent(program)
    return subprocess.Popen([sys.executable, "-c", program], cwd=SCRIPTS, **streams)


JOB = """
    import os, sys, time
    from types import SimpleNamespace
    from maskmake.runtime import pulse
    from maskmake.runtime.log import job, lines_to, logger
    pulse.SECOND, pulse.HIDDEN, pulse.SOON, pulse.LATER = 0.05, 0.1, 0.5, 30
    with job(SimpleNamespace(log=[], rule="train_fold")):
        logger.info("loading")
        terminal = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with lines_to(terminal):
            time.sleep(0.9)
        os.dup2(terminal, 2)
        logger.info("loaded")
"""


def test_a_silent_job_says_in_a_pipe_that_it_goes_on():
    with run(JOB, stderr=subprocess.PIPE) as process:
        lines = process.stderr.read().decode().splitlines()
    assert (lines[0], lines[-1]) == ("loading", "loaded")
    assert lines[1].startswith("train_fold: still at work, 00:0")


def test_a_silent_job_shows_on_a_terminal_for_how_long_it_runs():
    terminal, end = os.openpty()
    with run(JOB, stderr=end):
        os.close(end)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
    assert b"train_fold: at work for 00:0" in shown
    # Each line begins where the live one was, which is blank by then.
    assert re.search(rb"\r *\rloaded\r\n", shown)
    assert b"still at work" not in shown


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # what Linux says at the end of a terminal
        return b""


def test_a_step_speaks_for_itself(quick, monkeypatch, caplog):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    monkeypatch.setattr(LOGGER, "handlers", [handler])
    caplog.set_level(logging.INFO, LOGGER.name)
    ended = SimpleNamespace(clear=lambda: None, refresh=lambda: None)
    with alive("mask_run"), step(ended, lambda: "3 of 6 images"):
        pulse.time.sleep(0.75)
    assert set(stream.getvalue().splitlines()) == {"3 of 6 images"}
    assert LOGGER.handlers == [handler]
