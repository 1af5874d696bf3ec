"""The one Snakemake that works on a results folder, and what a killed one leaves behind.

Snakemake's own lock is a file: it outlives a killed Snakemake, and it does not say whose it is.
This module adds a lock of the operating system, which ends with its process. It shows whether
Snakemake's lock still holds.
"""

import atexit
import contextlib
import errno
import json
import os
import platform
import tempfile
import time
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from maskmake.runtime.errors import STORAGE_FAULTS, UserError, describe_storage_fault
from maskmake.runtime.locks import (
    HOLDER,
    NO_LOCKS,
    Process,
    open_lock,
    try_to_lock,
    write_holder,
)

FOLDER = Path(".snakemake")  # Snakemake's own, in the working directory
TRIES = 5  # a job that sees its Snakemake killed holds the lock for an instant
SECONDS_BETWEEN_TRIES = 0.1
PROBE_BYTES = 1 << 16
UNLOCK = "add --unlock to the command once, then run it again"
DIGITS = 20  # of ``number_of``; Snakemake itself counts its locks from 0


class ResultsLock:
    """The lock of a results folder, such as ``results/mine``.

    One process holds it from the parsing of the Snakefile to its own end, and its name is in the
    file meanwhile: a name without a holder is that of a process that was killed.

    Args:
        results: the folder.
        shared: a folder that it uses together with other results folders.
    """

    def __init__(self, results: str, shared: str):
        self._results, self._shared = results, shared
        # Two modules with a prefix each may have data sets of one name.
        name = quote(results.removeprefix("results/"), safe="")
        self._path = FOLDER / f"maskmake-{name}.lock"
        self._lock: int  # a file descriptor, where locks are possible
        self._held = self._possible = False

    def acquire(self, dry_run: bool) -> str | None:
        """Take the lock if it is free, and remove Snakemake's where its process was killed here.

        Args:
            dry_run: whether to give the lock back at once, since nothing will be written.

        Returns:
            A sentence about the process that was killed, if one was.

        Raises:
            UserError: the disk is full or may not be written to.
        """
        if not dry_run:
            _check_temporary_folder()
        try:
            FOLDER.mkdir(exist_ok=True)
            if not dry_run:
                write_probe(FOLDER)
            self._lock = open_lock(self._path)
            self._possible = True
            if not self._take():
                return None
            killed = Process.read(self._lock)
            if killed and killed.host != platform.node():
                # A lock may not reach from one computer to another: perhaps it is alive.
                if self._locks_after(killed):
                    self._give_back()
                    return None
                killed = None
            notice = self._clear_after(killed) if killed else None
            self._clear_after_others()
            if dry_run:
                write_holder(self._lock, "")
                self._give_back()
            else:
                self._sign()
            return notice
        except OSError as error:
            if error.errno in STORAGE_FAULTS and not dry_run:
                if error.filename != str(self._path):
                    error.filename = str(FOLDER)
                raise UserError(describe_storage_fault(error)) from None
            if error.errno not in STORAGE_FAULTS | NO_LOCKS:
                raise
            self._possible = False
            return None

    def why_refused(self) -> str | None:
        """Why this process may not work here, in a sentence; ``None`` if it may.

        Call it when work begins: whoever held the lock at the start may have ended.
        """
        if self._possible and not self._held:
            if not self._take():
                return self.describe_holder()
            self._sign()
        try:
            write_probe(Path(self._results))
        except OSError as error:
            if error.errno not in STORAGE_FAULTS:
                raise
            error.filename = self._results
            return describe_storage_fault(error)
        return None

    def describe_holder(self) -> str:
        """Who holds Snakemake's lock, and what to do about it."""
        known = self._possible and not self._held and Process.read(self._lock)
        if not known:
            others = dict(self._others_at_work())
            numbers = {number_of(process) for process in others.values()}
            if others and numbers >= {path.name.partition(".")[0] for path in _lock_files()}:
                named = " and ".join(f"{name} ({process})" for name, process in others.items())
                return (
                    f"{self._results}: a Snakemake at work on other results uses files that this "
                    f"one needs too: {named}; wait until it has ended."
                )
            return (
                f"{self._results}: locked by another Snakemake, or by one that was killed; if none "
                f"is at work here, {UNLOCK}."
            )
        if known.host != platform.node():
            return (
                f"{self._results}: locked by a Snakemake on another computer ({known}); if it has "
                f"ended, {UNLOCK}."
            )
        return (
            f"{self._results}: another Snakemake is at work here ({known}); wait until it has "
            f"ended, or stop it with: kill {known.id} (lets the steps under way end) or "
            f"kill -KILL {known.id} (stops them, too; a training goes on later where it was)"
        )

    def _take(self) -> bool:
        for _ in range(TRIES):
            self._held = try_to_lock(self._lock)
            if self._held:
                break
            time.sleep(SECONDS_BETWEEN_TRIES)
        return self._held

    def _give_back(self) -> None:
        os.close(self._lock)
        self._lock, self._held = open_lock(self._path), False

    def _sign(self) -> None:
        """Put this process's name into the file, and into the environment of its jobs."""
        text = Process.current().text
        write_holder(self._lock, text)
        os.environ[HOLDER] = json.dumps([str(self._path.absolute()), text])
        atexit.register(write_holder, self._lock, "")

    def _clear_after(self, killed: Process) -> str:
        for lock in self._locks_after(killed):
            lock.unlink(missing_ok=True)
        notice = f"{self._results}: a Snakemake was killed here ({killed}); its lock is removed, "
        notice += "what it finished stays"
        names = self._unfinished()
        if not names:
            return f"{notice}."
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{notice}, and what was under way is done again: {names[0]}{more}."

    def _locks_after(self, killed: Process) -> list[Path]:
        """Lock files of Snakemake that a process left behind which worked on these results.

        Those without its number were not made by way of ``snakemake_locks``: they name a file of
        this results folder, or only shared ones.
        """
        found = {path: path.name.partition(".")[0] for path in _lock_files()}
        texts = {path: path.read_text() for path, number in found.items() if len(number) < DIGITS}
        return [path for path, number in found.items() if number == number_of(killed)] + [
            path
            for path, text in texts.items()
            if f"{self._results}/" in text
            or all(line.startswith(f"{self._shared}/") for line in text.splitlines())
        ]

    def _clear_after_others(self) -> None:
        """Remove what killed processes on other results left: they may have read these.

        Their names stay, so that the next Snakemake on those results says that one was killed.
        """
        for _, process, is_at_work in self._others():
            if not is_at_work:
                for lock in _lock_files(number_of(process)):
                    lock.unlink(missing_ok=True)

    def numbers_at_work(self) -> set[str]:
        """``number_of`` each process that works on other results of this working folder."""
        return {number_of(process) for _, process in self._others_at_work()}

    def _others_at_work(self) -> Iterator[tuple[str, Process]]:
        return ((name, process) for name, process, is_at_work in self._others() if is_at_work)

    def _others(self) -> Iterator[tuple[str, Process, bool]]:
        """Each other results folder: its name, the last process on it, and whether it may work."""
        for path in sorted(FOLDER.glob("maskmake-*.lock")):
            if path == self._path:
                continue
            with contextlib.suppress(OSError):  # of another user, or gone
                lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    is_free, process = try_to_lock(lock), Process.read(lock)
                finally:
                    os.close(lock)
                if process is None or process == Process.current():
                    continue
                name = unquote(path.stem.removeprefix("maskmake-"))
                name = name if "/" in name else f"results/{name}"
                yield name, process, not is_free or process.host != platform.node()

    def _unfinished(self) -> list[str]:
        """Files that a job had under way, by the marks that Snakemake makes for them."""
        folder, names = FOLDER / "incomplete", []
        for path in folder.rglob("*"):
            parts = [part.removeprefix("@") for part in path.relative_to(folder).parts]
            with contextlib.suppress(ValueError):  # a mark of another version
                names.append(urlsafe_b64decode("".join(parts)).decode())
        ours = (f"{self._results}/", f"{self._shared}/")
        return sorted(name for name in names if name.startswith(ours))


def number_of(process: Process) -> str:
    """Digits by which Snakemake's locks are named after their process, see ``snakemake_locks``."""
    return f"{zlib.crc32(process.host.encode()):010}{process.id:010}"


def _lock_files(number: str = "*") -> list[Path]:
    """The lock files of Snakemake, of one process or of all."""
    return sorted((FOLDER / "locks").glob(f"{number}.*.lock"))


def check_results_folder(results: str) -> None:
    """Refuse a results folder that cannot be made.

    Raises:
        UserError: the folder or one that it lies in is a file, or a link to nothing.
    """
    for folder in reversed([Path(results), *Path(results).parents]):
        if folder.is_dir():
            continue
        if folder.is_symlink():
            target = folder.readlink()
            raise UserError(
                f"{folder}: a link to {target}, which is not there; expected a folder to write to; "
                "mount the disk or remove the link."
            )
        if folder.exists():
            raise UserError(
                f"{folder}: found a file; expected a folder to write to; move the file away."
            )


def why_unwritable(paths: Iterable[str]) -> str | None:
    """Why jobs could not write one of their files, in a sentence; ``None`` if it seems they can.

    A job would find it out late: Snakemake writes the benchmark of a training after it, and removes
    the network if it cannot.
    """
    for path in map(Path, paths):
        folder = next(parent for parent in path.parents if os.access(parent, os.F_OK))
        for place in (path, folder):
            if os.access(place, os.F_OK) and not os.access(place, os.W_OK):
                refused = os.strerror(errno.EACCES)
                return describe_storage_fault(PermissionError(errno.EACCES, refused, str(place)))
    return None


def write_probe(folder: Path) -> None:
    """Make a folder, and try whether a file can be written to it.

    Raises:
        OSError: it cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(PROBE_BYTES))


def temporary_folder() -> str:
    """The folder in which Python writes temporary files.

    Raises:
        UserError: of all folders that it tries, none can be written to. Snakemake needs one before
            it reads the Snakefile.
    """
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(
            f"TMPDIR: {error.strerror}; expected one with space that can be written to; free "
            "space, or set the environment variable TMPDIR to such a folder."
        ) from None


def _check_temporary_folder() -> None:
    """Refuse to start where Snakemake's scheduler, and later Keras, could not write.

    Raises:
        UserError: the folder for temporary files is full or may not be written to.
    """
    named = os.environ.get("TMPDIR")  # which the scheduler takes even if it is full
    folder = named if named and Path(named).is_dir() else temporary_folder()
    try:
        write_probe(Path(folder))
    except OSError as error:
        if error.errno not in STORAGE_FAULTS:
            raise
        raise UserError(
            f"TMPDIR: {folder}: {error.strerror}; free space there, or set the environment "
            "variable TMPDIR to another folder."
        ) from None
