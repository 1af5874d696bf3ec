"""The one Snakemake that works on a results folder, and what a killed one leaves behind.

Snakemake's own lock is a file: it outlives a killed Snakemake, and it does not say whose it is.
This module adds a lock of the operating system, which ends with its process. It shows whether
Snakemake's lock still holds.
"""

import atexit
import contextlib
import json
import os
import platform
import tempfile
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from urllib.parse import quote

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
                if self._snakemake_locks():
                    self._give_back()
                    return None
                killed = None
            notice = self._clear_after(killed) if killed else None
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
        for lock in self._snakemake_locks():
            lock.unlink()
        notice = f"{self._results}: a Snakemake was killed here ({killed}); its lock is removed, "
        notice += "what it finished stays"
        names = self._unfinished()
        if not names:
            return f"{notice}."
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{notice}, and what was under way is done again: {names[0]}{more}."

    def _snakemake_locks(self) -> list[Path]:
        """Snakemake's lock files that name a file of this results folder, or only shared ones."""
        locks = {path: path.read_text() for path in (FOLDER / "locks").glob("*.lock")}
        return [
            path
            for path, text in locks.items()
            if f"{self._results}/" in text
            or all(line.startswith(f"{self._shared}/") for line in text.splitlines())
        ]

    def _unfinished(self) -> list[str]:
        """Files that a job had under way, by the marks that Snakemake makes for them."""
        folder, names = FOLDER / "incomplete", []
        for path in folder.rglob("*"):
            parts = [part.removeprefix("@") for part in path.relative_to(folder).parts]
            with contextlib.suppress(ValueError):  # a mark of another version
                names.append(urlsafe_b64decode("".join(parts)).decode())
        ours = (f"{self._results}/", f"{self._shared}/")
        return sorted(name for name in names if name.startswith(ours))


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
