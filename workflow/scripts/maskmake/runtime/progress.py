"""How far a step is: a live bar on a terminal, and now and then a line in the log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from maskmake.runtime.pulse import step

HIDDEN_SECONDS = 1  # a shorter step shows no bar

Item = TypeVar("Item")


def tracked(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The same items, while a person sees how many of them are done.

    Args:
        items: are taken one by one.
        what: is done, in front of the numbers: ``images predicted``.
        total: how many items there are.
    """
    with tqdm(
        total=total,
        desc=what,
        mininterval=0.5,
        delay=HIDDEN_SECONDS,
        leave=False,
        bar_format="{percentage:3.0f}%|{bar:20}| {desc}: {n_fmt} of {total_fmt}, "
        "{elapsed}, {remaining} left",
        disable=not sys.stderr.isatty(),
    ) as bar:
        start, done = time.monotonic(), 0

        def words() -> str:
            passed = time.monotonic() - start
            left = tqdm.format_interval(passed * (total - done) / done) if done else "?"
            return f"{what}: {done} of {total}, {left} left"

        with step(bar, words):
            for item in items:
                yield item
                bar.update()
                done += 1
