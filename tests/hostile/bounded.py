"""What maskmake says of a hostile file, within the time and memory that it may take."""

import os
import resource
import time
import traceback
from collections.abc import Callable

from maskmake.runtime.errors import UserError

SECONDS, KILOBYTES = 2, 300_000  # beyond the interpreter


def refusal(function: Callable, *arguments) -> str:
    """The sentence with which a call refuses; the call is made in a process of its own."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        text, before, start = "NOT REFUSED", peak(), time.monotonic()
        try:
            function(*arguments)
        except UserError as error:
            text = str(error)
        except BaseException:
            text = traceback.format_exc()
        seconds, kilobytes = time.monotonic() - start, peak() - before
        if seconds > SECONDS or kilobytes > KILOBYTES:
            text = f"TOO MUCH: {seconds:.1f} s, {kilobytes} kB; {text}"
        os.write(writing, os.fsencode(text)[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = os.fsdecode(pipe.read())
    os.waitpid(process, 0)
    assert "Traceback" not in text and not text.startswith(("TOO MUCH", "NOT REFUSED")), text
    return text


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
