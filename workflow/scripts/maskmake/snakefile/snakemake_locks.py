"""Snakemake's locks of files, one pair for each process.

Snakemake numbers them from 0, and as it ends it removes the locks of all that work in the same
folder: another one, on other results, is then without its locks, or fails as it writes them. Like
``internals``, this module uses what Snakemake does not document.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from maskmake.snakefile.internals import without_it


@without_it("locks of two Snakemakes in one folder", None)
def separate_locks(number: str, at_work: Callable[[], Iterable[str]]) -> None:
    """Let the Snakemake of this process name its locks, and remove no others as it ends.

    Args:
        number: of this process, digits.
        at_work: gives the numbers of other processes, whose locks ``--unlock`` leaves alone.
    """
    from snakemake.persistence.file import FilePersistence as Locks

    def write(self, lock_type: str, keys: Iterable[str]) -> None:
        names = list(keys)
        if names:
            path = Path(self._lockdir, f"{number}.{lock_type}.lock")
            path.parent.mkdir(exist_ok=True)
            self._lockfile[lock_type] = path
            path.write_text("".join(f"{name}\n" for name in names))

    def delete(self) -> None:
        for path in self._lockfile.values():
            Path(path).unlink(missing_ok=True)
        self._lockfile.clear()

    def unlock(self) -> None:
        kept = set(at_work())
        for path in Path(self._lockdir).glob("*"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)

    changed = {"_write_locks": write, "_delete_locks": delete, "cleanup_locks": unlock}
    for name in changed:
        getattr(Locks, name)  # without it the change would have no effect
    for name, method in changed.items():
        setattr(Locks, name, method)
