"""What in a user's environment would end Snakemake or its jobs before they can say why.

Only the standard library is imported before ``leave_out_other_packages`` was called.
"""

import os
import sys
import sysconfig
from pathlib import Path

from maskmake.runtime.errors import UserError

PATH = "PYTHONPATH"
MOST = 3  # packages that are named of many


def leave_out_other_packages() -> list[str]:
    """Take the folders out of PYTHONPATH that hide packages of this Python, for its jobs, too.

    Modules of a cluster set the variable, and their packages are often for another Python.

    Returns:
        A sentence for each folder.
    """
    folders = [folder for folder in os.environ.get(PATH, "").split(os.pathsep) if folder]
    own = _packages(sysconfig.get_path("purelib"))
    hidden = {folder: sorted(_packages(folder) & own) for folder in folders}
    left = [folder for folder in folders if not hidden[folder]]
    if len(left) == len(folders):
        return []
    gone = {Path(folder).absolute() for folder in folders if hidden[folder]}
    sys.path[:] = [folder for folder in sys.path if Path(folder).absolute() not in gone]
    os.environ[PATH] = os.pathsep.join(left)
    return [
        f"{PATH}: {folder} has other copies of {_listed(names)} than {sys.prefix}; it is left out."
        for folder, names in hidden.items()
        if names
    ]


def _packages(folder: str) -> set[str]:
    """Names that Python can import from a folder, but for folders without ``__init__.py``."""
    try:
        entries = list(Path(folder).iterdir())
    except OSError:
        return set()
    return {
        entry.name.partition(".")[0]
        for entry in entries
        if entry.suffix in (".py", ".so") or (entry / "__init__.py").is_file()
    }


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{', '.join(names[:MOST])}{more}"


def check_cache_folder() -> None:
    """Refuse to start where Snakemake could not keep what it reads of the workflow.

    Raises:
        UserError: the user's folder for caches cannot be made or written to.
    """
    from platformdirs import user_cache_path

    from maskmake.snakefile.results_lock import write_probe

    folder = None
    try:
        folder = user_cache_path("snakemake", "snakemake") / "snakemake" / "source-cache"
        write_probe(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        where = "the home folder" if folder is None else folder
        raise UserError(
            f"{where}: {getattr(error, 'strerror', None) or error}; expected a folder for caches "
            "that can be written to; free space, or set the environment variable XDG_CACHE_HOME "
            "to the whole path of such a folder."
        ) from None


def check_path(root: Path) -> None:
    """Refuse a folder of the workflow in whose path Snakemake would see wildcards.

    Raises:
        UserError: it has a brace.
    """
    if {"{", "}"} & set(str(root)):
        raise UserError(
            f"{root}: found a brace in the path of maskmake, which Snakemake takes for a wildcard; "
            "expected none; rename the folder."
        )
