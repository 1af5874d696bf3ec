"""How far a step is: a live bar on a terminal, and a line a minute in the log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from maskmake.runtime.log import logger

LINE_SECONDS = 60  # between two lines in the log
HIDDEN_SECONDS = 1  # a shorter step shows no bar

Item = TypeVar("Item")


def tracked(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The same items, while a person sees how many of them are done.

    Args:
        items: are taken one by one.
        what: is done, in front of the numbers: ``images predicted``.
        total: how many items there are.
    """
    start = last = time.monotonic()
    with tqdm(
        total=total,
        desc=what,
        mininterval=0.5,
        delay=HIDDEN_SECONDS,
        leave=False,
        bar_format="{percentage:3.0f}%|{bar:20}| {desc}: {n_fmt} of {total_fmt}, {remaining} left",
        disable=not sys.stderr.isatty(),
    ) as bar:
        for done, item in enumerate(items, start=1):
            yield item
            bar.update()
            now = time.monotonic()
            if now - last > LINE_SECONDS:
                last = now
                left = tqdm.format_interval((total - done) * (now - start) / done)
                with tqdm.external_write_mode():
                    logger.info("%s: %d of %d, %s left", what, done, total, left)
