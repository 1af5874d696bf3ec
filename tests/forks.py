"""Runs commands of Snakemake in forks of one process that has imported it.

A command of Snakemake spends seconds on imports. Here each still runs in its own process, with its
own state and locks, but its imports are done already. None of them is of maskmake, since a command
may use another checkout. The jobs of a command are processes as ever.

As a program this file is the process that forks. It reads a JSON object a line, the arguments of
``run_program``, and answers each with a line, the wait status.
"""

import contextlib
import fcntl
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import psutil

# Snakemake, its plugins, and what the package imports for the Snakefile.
IMPORTED = (
    "jsonschema",
    "snakemake.cli",
    "snakemake.linting.rules",
    "snakemake.linting.snakefiles",
    "snakemake.profiles",
    "snakemake.report.html_reporter",
    "snakemake_storage_plugin_http",
    "snakemake_storage_plugin_s3",
)


class Forks:
    """The process that forks. It starts with the first command and ends with this process."""

    def __init__(self):
        self._server: subprocess.Popen | None = None

    def run(
        self, command: list, environment: dict[str, str] | None = None, errors_apart: bool = False
    ) -> subprocess.CompletedProcess:
        """Run a Python program in the folder of this process.

        Args:
            command: path of the program, then its arguments.
            environment: what is added to the environment of this process.
            errors_apart: whether standard error is kept apart from standard output.
        """
        with tempfile.TemporaryDirectory() as folder:
            output, errors = Path(folder, "output"), Path(folder, "errors")
            errors.touch()
            status = self._ask(
                command=list(map(str, command)),
                folder=str(Path.cwd()),
                environment={**os.environ, **(environment or {})},
                output=str(output),
                errors=str(errors if errors_apart else output),
            )
            code = os.waitstatus_to_exitcode(status)
            with output.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # the jobs of a killed Snakemake may go on
                return subprocess.CompletedProcess(command, code, file.read(), errors.read_text())

    def _ask(self, **request) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        try:
            print(json.dumps(request), file=self._server.stdin, flush=True)
            return int(self._server.stdout.readline())
        except BaseException:  # such as a timeout: its late answer is not one to the next question
            for child in psutil.Process(self._server.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self._server.kill()
            self._server = None
            raise


def run_program(command, folder, environment, output, errors):
    """Become the process of a program, and end as it ends."""
    for descriptor, path in ((0, os.devnull), (1, output), (2, errors)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    fcntl.flock(1, fcntl.LOCK_SH)  # until the last process that has this output ends
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    for name in IMPORTED:
        import_module(name)
    gc.freeze()  # no child has to look through what it did not make
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run_program(**json.loads(line))
            sys.exit()
        print(os.waitpid(process, 0)[1], flush=True)
