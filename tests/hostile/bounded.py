"""What maskmake says of a hostile file, within the time and memory that it may take."""

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable

from maskmake.runtime.errors import UserError

# Beyond the interpreter. Seconds are the processor's: a test machine may be busy with other things.
SECONDS, KILOBYTES = 2, 300_000
PATIENCE = 120  # seconds of the clock after which a child that waits for something is killed


def in_a_child(check: Callable[[], str]) -> str:
    """The answer of a call that may hang or ask for much; made in a process of its own."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(PATIENCE)
        before, start = peak(), time.process_time()
        try:
            text = check()
        except BaseException:
            text = traceback.format_exc()
        seconds, kilobytes = time.process_time() - start, peak() - before
        if seconds > SECONDS or kilobytes > KILOBYTES:
            text = f"TOO MUCH: {seconds:.1f} s, {kilobytes} kB; {text}"
        os.write(writing, os.fsencode(text)[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = os.fsdecode(pipe.read())
    os.waitpid(process, 0)
    assert text, f"still at work after {PATIENCE} s"
    assert "Traceback" not in text and not text.startswith("TOO MUCH"), text
    return text


def refusal(function: Callable, *arguments) -> str:
    """The sentence with which a call refuses; the call is made in a process of its own."""

    def refused() -> str:
        try:
            function(*arguments)
        except UserError as error:
            return str(error)
        return "NOT REFUSED"

    text = in_a_child(refused)
    assert text != "NOT REFUSED"
    return text


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
