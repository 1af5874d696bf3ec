"""Runs commands of Snakemake, and their jobs, in forks of one process that has imported much.

A command of Snakemake and each of its jobs spend seconds on imports. Here each still runs in its
own process, with its own state and locks, but its imports are done already. None of them is of
maskmake, since a command may use another checkout.

As a program this file is the process that forks, the server. It reads a JSON object a line, the
arguments of ``run_command``, and answers each with a line, the wait status. What it forks is
``server > Snakemake > starter``, and the starter forks the jobs: it is as clean as the server,
while Snakemake has threads by then. A job's parent is Snakemake all the same, as ever.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
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
# What the scripts import, each the longest chain of imports of its kind.
IMPORTED_BY_JOBS = (
    "imagecodecs",
    "matplotlib.pyplot",
    "pandas",
    "pyvips",
    "scipy.optimize",
    "scipy.stats",
    "skimage.morphology",
    "skimage.segmentation",
    "tensorflow",
)

# The shell command with which Snakemake starts a script.
SCRIPT = re.compile(r"set -euo pipefail; +\S*/python\S* (\S+/\.snakemake/scripts/\S+\.py)")
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h: orphans become children of this process


class Forks:
    """The process that forks. It starts with the first command and ends with this process."""

    def __init__(self):
        self._server: subprocess.Popen | None = None

    def run(
        self,
        command: list,
        environment: dict[str, str] | None = None,
        errors_apart: bool = False,
        fork_jobs: bool = True,
    ) -> subprocess.CompletedProcess:
        """Run a Python program in the folder of this process.

        Args:
            command: path of the program, then its arguments.
            environment: what is added to the environment of this process.
            errors_apart: whether standard error is kept apart from standard output.
            fork_jobs: whether the jobs are forks, too, and not processes that import everything.
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
                fork_jobs=fork_jobs,
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


class Starter:
    """The process that forks the jobs of this one, a Snakemake. It ends with this process."""

    def __init__(self):
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair()
        if os.fork() == 0:
            self._socket.close()
            start_jobs(other)
        other.close()

    def start(self, script: str, environment: dict[str, str]) -> int:
        """Start a job with the folder and the open files of this process; give its number."""
        request = json.dumps([script, str(Path.cwd()), environment]).encode()
        with self._lock:
            socket.send_fds(self._socket, [len(request).to_bytes(8)], [0, 1, 2])
            self._socket.sendall(request)
            return int.from_bytes(self._socket.recv(8))


class Job:
    """What ``snakemake.shell`` uses of ``subprocess.Popen``, for a job that was forked."""

    def __init__(self, pid: int):
        self.pid = pid

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


def fork_jobs_of_snakemake() -> None:
    """Let the Snakemake that this process is about to become start its scripts as forks."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    starter, start_process = Starter(), subprocess.Popen

    class Processes:
        def __getattr__(self, name):
            return getattr(subprocess, name)

        def Popen(self, command, env, **options):
            script = SCRIPT.fullmatch(command)
            if script is None:
                return start_process(command, env=env, **options)
            return Job(starter.start(script.group(1), env))

    import_module("snakemake.shell").sp = Processes()  # ``snakemake.shell`` is a class of that name


def start_jobs(requests: socket.socket) -> None:
    """Fork a job for each request; never return.

    A job becomes a child of Snakemake when the process between the two has ended.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        length, files, _, _ = socket.recv_fds(requests, 8, 3)
        if not length:
            os._exit(0)
        request = b""
        while len(request) < int.from_bytes(length):
            request += requests.recv(2**20)
        number, write_number = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid == 0:
                os.close(number)
                os.close(write_number)
                requests.close()
                run_job(*json.loads(request), files)
                sys.exit()
            os.write(write_number, pid.to_bytes(8))
            os._exit(0)
        for file in (*files, write_number):
            os.close(file)
        os.waitpid(between, 0)
        requests.sendall(os.read(number, 8))
        os.close(number)


def run_job(script: str, folder: str, environment: dict[str, str], files: list[int]) -> None:
    """Become the process of a script, and end as it ends."""
    for descriptor, file in enumerate(files):
        os.dup2(file, descriptor)
        os.close(file)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    become(script, [script], folder, environment)


def run_command(command, folder, environment, output, errors, fork_jobs):
    """Become the process of a command, and end as it ends."""
    for descriptor, path in ((0, os.devnull), (1, output), (2, errors)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    fcntl.flock(1, fcntl.LOCK_SH)  # until the last process that has this output ends
    if fork_jobs:
        fork_jobs_of_snakemake()
    become(command[0], command, folder, environment)


def become(program: str, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a program as Python would that was started for it."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = arguments
    searched = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [str(Path(program).parent), *searched]
    if any(Path(path, "sitecustomize.py").exists() for path in searched):
        import_module("sitecustomize")
    with ending_at_once():
        runpy.run_path(program, run_name="__main__")


@contextlib.contextmanager
def ending_at_once():
    """Leave this process when its program has ended, its threads and its exit functions too.

    Python would then take apart all that was imported, and so copy most of the server's memory.
    """
    code = 0

    def leave():  # the last function that is called, since it is the first
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)
    try:
        yield
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
    except BaseException:
        code = 1
        raise


@contextlib.contextmanager
def silence():
    """Keep away what compiled code says of a missing GPU; errors of Python are raised."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


if __name__ == "__main__":
    # TensorFlow is silent, and no library has a thread that a fork would lack.
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1"}
    for name in (*IMPORTED, *IMPORTED_BY_JOBS):
        with silence():
            import_module(name)
    gc.freeze()  # no child has to look through what it did not make
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            run_command(**json.loads(line))
            sys.exit()
        print(os.waitpid(process, 0)[1], flush=True)
