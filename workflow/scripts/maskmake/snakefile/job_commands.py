"""How Snakemake starts Python for jobs: its path, and the package it imports; see ``internals``."""

import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from maskmake.snakefile.internals import without_it


class _QuotedPython:
    """The module ``sys``, but with the path of Python as a shell has to read it."""

    executable = shlex.quote(sys.executable)

    def __getattr__(self, name: str):
        return getattr(sys, name)


@without_it("a path of Python with spaces", None)
def quote_python() -> None:
    """Let the folder of this workflow have spaces and quotes in its path, and so that of Python.

    Snakemake puts the path of Python as it is into the commands of scripts and of cluster jobs.
    """
    script: Any = import_module("snakemake.script")
    executors: Any = import_module("snakemake_interface_executor_plugins.executors.real")
    join = executors.join_cli_args

    def join_cli_args(words):
        quoted = _QuotedPython.executable
        return join([quoted if word == sys.executable else word for word in words])

    script.sys, executors.join_cli_args = _QuotedPython(), join_cli_args


@without_it("another maskmake among the packages of Python", None)
def import_own_package(scripts: Path) -> None:
    """Let the scripts in a folder import the package beside them, and no other copy of it.

    Snakemake puts their folder behind PYTHONPATH and the installed packages. The hashes of the code
    are those of the package beside them.
    """
    writer: Any = import_module("snakemake.script").PythonScript
    former, own = writer.generate_preamble, scripts.resolve()

    def generate_preamble(path, *arguments, **options):
        preamble = former(path, *arguments, **options)
        if Path(path.get_basedir().get_path_or_uri(secret_free=True)).resolve() != own:
            return preamble
        # The folder has scripts of common names, such as report.py, so it does not stay in front.
        first = f"import sys; sys.path.insert(0, {str(own)!r}); import maskmake; del sys.path[0]"
        return f"{preamble}{first}\n"

    writer.generate_preamble = staticmethod(generate_preamble)
