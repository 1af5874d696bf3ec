"""The same work for many items, on several cores, with the results in order."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import TypeVar

from maskmake.runtime.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4  # batches for each process that are under way or done before their turn


def map_in_order(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int, batch: int = 1
) -> Iterator[Result]:
    """Give ``function(item)`` of each item, in the order of the items.

    Args:
        function: can be pickled. What it raises is raised here.
        items: can be pickled.
        processes: 1 works in this process.
        batch: items that a process is given at once; to hand over one takes a millisecond.

    Raises:
        UserError: a process was killed, in most cases for want of memory.
    """
    if processes < 2:
        yield from map(function, items)
        return
    # A fork of this process would copy locks that threads of libvips hold. The main module is
    # imported again by each process, so it does its work under __name__ == "__main__".
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
        work = partial(_results, function)
        rest = (items[start : start + batch] for start in range(0, len(items), batch))
        waiting = [pool.submit(work, some) for some in islice(rest, AHEAD * processes)]
        try:
            while waiting:
                done = waiting.pop(0).result()
                waiting.extend(pool.submit(work, some) for some in islice(rest, 1))
                yield from done
        except BrokenProcessPool:
            raise UserError(
                f"one of {processes} processes was killed, in most cases because the memory was "
                "full; expected all to end; free memory, or start with fewer --cores."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _results(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end as soon as it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
