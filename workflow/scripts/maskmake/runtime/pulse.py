"""A sign of life of a job that says nothing for a while."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

LOGGER = logging.getLogger("maskmake")
SECOND = 1.0
HIDDEN = 3  # seconds of silence after which a terminal shows for how long a job has run
# Seconds of silence after which a line says that a job goes on. Whoever waits without a terminal
# sees soon that it runs, and a log of hours stays short. Some seconds pass before a job is heard.
SOON, LATER = 10, 60
EARLY = 300  # seconds of a job in which it is SOON

Words = Callable[[], str]


class Pulse(logging.Handler):
    """Hears every line of a job, and speaks when there was none for long.

    On a terminal it keeps the bar of a step moving or, between steps, shows for how long the job
    has run. Without a terminal it writes a line.

    Args:
        name: of the job.
    """

    def __init__(self, name: str):
        super().__init__()
        self._name = name
        self._start = self._last = time.monotonic()
        self._steps: list[tuple[tqdm, Words]] = []
        self._lock = threading.Lock()  # no step ends while the thread speaks of it
        self._ended = threading.Event()
        # A copy, because standard error is another file while a backend starts.
        self._stream = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
        self._is_terminal = sys.stderr.isatty()
        self._status = tqdm(
            bar_format="{desc}",
            leave=False,
            delay=HIDDEN,
            file=self._stream,
            disable=not self._is_terminal,
        )
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Note that something is said, and make room for it: what is live is drawn again later."""
        self._last = time.monotonic()
        for bar in (self._status, *(bar for bar, _ in self._steps)):
            bar.clear()

    def start(self) -> None:
        """Begin to listen."""
        LOGGER.handlers.insert(0, self)  # before those that write
        self._thread.start()

    def end(self) -> None:
        """Fall silent."""
        self._ended.set()
        self._thread.join()
        LOGGER.removeHandler(self)
        self._status.close()
        self._stream.close()

    def enter(self, bar: tqdm, words: Words) -> None:
        """A step begins, with a bar for a terminal and words for a log."""
        with self._lock:
            self._status.clear()
            self._steps.append((bar, words))

    def leave(self, bar: tqdm) -> None:
        """The step with this bar has ended."""
        with self._lock:
            self._steps = [step for step in self._steps if step[0] is not bar]

    def _beat(self) -> None:
        while not self._ended.wait(SECOND):
            with self._lock:
                self._speak(time.monotonic())

    def _speak(self, now: float) -> None:
        silent = now - self._last
        if self._steps and self._is_terminal:
            self._steps[-1][0].refresh()
        elif self._is_terminal and silent >= HIDDEN:
            self._status.set_description_str(f"{self._name}: at work for {self._age(now)}")
        if silent >= self._patience(now) and (self._steps or not self._is_terminal):
            LOGGER.info("%s", self._steps[-1][1]() if self._steps else self._still(now))

    def _patience(self, now: float) -> float:
        early = now - self._start < EARLY and not self._is_terminal
        return SOON - SECOND if early else LATER

    def _still(self, now: float) -> str:
        return f"{self._name}: still at work, {self._age(now)} after its start"

    def _age(self, now: float) -> str:
        return tqdm.format_interval(now - self._start)


_current: list[Pulse] = []


@contextmanager
def alive(name: str) -> Iterator[None]:
    """Give the job of this process, which has this name, a pulse."""
    pulse = Pulse(name)
    pulse.start()
    _current.append(pulse)
    try:
        yield
    finally:
        _current.remove(pulse)
        pulse.end()


@contextmanager
def step(bar: tqdm, words: Words) -> Iterator[None]:
    """Let the pulse of this process speak of a step.

    Args:
        bar: is drawn again each second on a terminal.
        words: how far the step is, for a line.
    """
    if not _current:
        yield
        return
    pulse = _current[-1]
    pulse.enter(bar, words)
    try:
        yield
    finally:  # perhaps after the job: a fault leaves a generator with a step in it to the collector
        pulse.leave(bar)
