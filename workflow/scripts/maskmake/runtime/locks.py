"""File locks that name the process that holds them and end with it, even if it is killed."""

import contextlib
import errno
import fcntl
import json
import os
import platform
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Environment variable of a job: the lock file of its Snakemake, and the name that stands in it.
HOLDER = "MASKMAKE_SNAKEMAKE"

HOST = re.compile(r"[\w.-]{0,255}")

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # the file system has no locks


class Process(NamedTuple):
    """Who holds a lock: the id of the process and the name of its computer, and nothing else.

    A command may have keys among its options.
    """

    id: int
    host: str

    def __str__(self):
        return f"process {self.id} on {self.host}"

    @classmethod
    def current(cls) -> "Process":
        """This process."""
        return cls(os.getpid(), platform.node())

    @classmethod
    def read(cls, lock: int) -> "Process | None":
        """Who holds a lock, or held it last; None where its text is empty or names no process."""
        try:
            number, host, *_ = json.loads(read_holder(lock))
        except (TypeError, ValueError):  # empty, or what a power cut made of it
            return None
        # Someone else may have written it, and it is shown to a user.
        if type(number) is not int or not HOST.fullmatch(str(host)):
            return None
        return cls(number, host)

    @property
    def text(self) -> str:
        """What stands in the lock file."""
        return json.dumps(self)


def open_lock(path: Path, shared: bool = False) -> int:
    """Open a lock file; create it if it does not exist.

    Args:
        path: of the file.
        shared: whether other users may open it, too.

    Raises:
        OSError: the file belongs to another user, among others.
    """
    # Two steps: in a folder such as /tmp, Linux refuses to open another user's file with O_CREAT.
    mode = 0o666 if shared else 0o600
    mask = os.umask(0)
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
    finally:
        os.umask(mask)
    try:
        lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except PermissionError as error:
        error.strerror = "belongs to another user"
        raise
    if not shared and os.fstat(lock).st_mode & 0o077:  # of an earlier version
        with contextlib.suppress(PermissionError):
            os.fchmod(lock, mode)
    return lock


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
def held(path: Path, on_wait: Callable[[object], None], on_killed: Callable[[object], None]):
    """Hold the lock of a file. Where the file system has no locks, Snakemake's lock must suffice.

    Args:
        path: of the file.
        on_wait: called with the process that has to end first, if there is one.
        on_killed: called with the last process that held the lock, if it was killed.
    """
    lock = open_lock(path)
    try:
        with _unless_without_locks():
            if not try_to_lock(lock):
                on_wait(Process.read(lock) or "another process")
                fcntl.flock(lock, fcntl.LOCK_EX)
        if read_holder(lock):
            on_killed(Process.read(lock) or "a process")
        write_holder(lock, Process.current().text)
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
