"""File locks that name the process that holds them and end with it, even if it is killed."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

# Environment variable of a job: the lock file of its Snakemake, and the name that stands in it.
HOLDER = "MASKMAKE_SNAKEMAKE"

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # the file system has no locks


def open_lock(path: Path) -> int:
    """Open a lock file that every user of its folder may open; create it if it does not exist."""
    # Two steps: in a folder such as /tmp, Linux refuses to open another user's file with O_CREAT.
    mask = os.umask(0)
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    finally:
        os.umask(mask)
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW)


def try_to_lock(lock: int) -> bool:
    """Whether this process holds the lock from now on, until it ends or closes the file."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_holder(lock: int, text: str) -> None:
    """Write into the lock file who holds it."""
    os.pwrite(lock, text.encode(), 0)
    os.truncate(lock, len(text.encode()))
    os.fsync(lock)


def read_holder(lock: int) -> str:
    """Who holds the lock, or held it last."""
    return os.pread(lock, 1 << 16, 0).decode(errors="replace")


@contextlib.contextmanager
def _unless_without_locks():
    try:
        yield
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


@contextlib.contextmanager
def held(path: Path, on_wait: Callable[[str], None], on_killed: Callable[[str], None]):
    """Hold the lock of a file. Where the file system has no locks, Snakemake's lock must suffice.

    Args:
        path: of the file.
        on_wait: called with the id of the process that has to end first, if there is one.
        on_killed: called with the id of the last process that held the lock, if it was killed.
    """
    lock = open_lock(path)
    try:
        with _unless_without_locks():
            if not try_to_lock(lock):
                on_wait(read_holder(lock))
                fcntl.flock(lock, fcntl.LOCK_EX)
        killed = read_holder(lock)
        if killed:
            on_killed(killed)
        write_holder(lock, str(os.getpid()))
        try:
            yield
        finally:
            write_holder(lock, "")
    finally:
        os.close(lock)


def end_with_snakemake(say: Callable[[], None]) -> None:
    """Kill this process as soon as the Snakemake that started it is killed.

    Otherwise it would go on unseen, and a new Snakemake would do the same work again beside it.
    A kill does no harm here: it leaves whole files, and the state of a training.

    Args:
        say: called before the end.
    """
    if HOLDER not in os.environ:
        return
    path, name = json.loads(os.environ[HOLDER])

    def watch():
        lock = os.open(path, os.O_RDWR)
        if read_holder(lock) == name:
            fcntl.flock(lock, fcntl.LOCK_SH)  # returns when nobody holds it
        os.close(lock)
        say()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
