"""A SLURM of three nodes on this machine, for as long as the tests need it.

Debian's slurmd can run several times on one host, each under the name and port of a node. Memory
is watched by sampling, so no cgroups are needed; the GPU of the third node is a name without a
device. The configuration lies in /etc/slurm, the one place where every job step looks for it.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
NODES = {"cpu1": "", "cpu2": "", "gpu1": "Gres=gpu:1 Weight=10"}
MARK = "# For the tests of maskmake"
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
ONE_TRY = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")


class DoesNotStart(Exception):
    """The daemons do not come up on this machine; the text is the end of their logs."""


def missing() -> str | None:
    """Why there can be no SLURM here; ``None`` where it is installed, if need be just now."""
    if os.name != "posix" or os.geteuid() != 0:
        return "SLURM's daemons have to be started by root"
    if _used_by_another():
        return f"{CONFIGURATION}/slurm.conf belongs to another SLURM"
    if all(map(shutil.which, PROGRAMS)):
        return None
    if shutil.which("apt-get") is None:
        return "SLURM is not installed, and without apt-get it cannot be"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-q", *ONE_TRY, *command], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            return f"SLURM cannot be installed: {done.stderr.strip().splitlines()[-1:]}"
    return None


def _used_by_another() -> bool:
    """Whether there is a configuration that no test left behind as it was killed."""
    file = CONFIGURATION / "slurm.conf"
    return file.exists() and MARK not in file.read_text()


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Start munge, the controller and the nodes; end them all, and their jobs, on leaving.

    Raises:
        DoesNotStart: they do not come up within a minute.
    """
    with ExitStack() as stack:
        CONFIGURATION.mkdir(exist_ok=True)
        for name, text in _configuration(folder).items():
            (CONFIGURATION / name).write_text(text)
            stack.callback((CONFIGURATION / name).unlink)
        _start_munge(stack, folder)
        _start(stack, folder, "slurmctld", ["slurmctld", "-D"])
        for node in NODES:
            (folder / node).mkdir()
            _start(stack, folder, node, ["slurmd", "-D", "-N", node])
        stack.callback(subprocess.run, ["scancel", "--user", "root"], check=False)
        _wait(folder, lambda: set(_output("sinfo", "-h", "-N", "-o", "%t").split()) == {"idle"})
        yield


def _configuration(folder: Path) -> dict[str, str]:
    host = socket.gethostname()
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={_free_port()} CPUs=4 "
        f"RealMemory=16000 {more}"
        for name, more in NODES.items()
    )
    return {
        "slurm.conf": f"""{MARK}
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={_free_port()}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
KillWait=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished
AccountingStorageType=accounting_storage/none
{nodes}
PartitionName=main Nodes=ALL Default=YES DefMemPerCPU=500 PriorityTier=1
PartitionName=urgent Nodes=ALL DefMemPerCPU=500 PriorityTier=10 PreemptMode=OFF
""",
        "gres.conf": "AutoDetect=off\nNodeName=gpu1 Name=gpu File=/dev/null\n",
        # slurmd loads a cgroup plugin even where nothing uses it; this one asks for nothing.
        "cgroup.conf": "CgroupPlugin=cgroup/v1\n",
    }


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start_munge(stack: ExitStack, folder: Path) -> None:
    """Start munged, which insists on folders that no one else can write to."""
    place = folder / "munge"
    place.mkdir(mode=0o755)
    (place / "key-file").write_bytes(os.urandom(128))
    (place / "key-file").chmod(0o400)
    files = [f"--{name}={place / name}" for name in ("key-file", "pid-file", "seed-file")]
    command = ["munged", "--foreground", "--force", f"--socket={place / 'socket'}", *files]
    _start(stack, folder, "munged", command)
    _wait(folder, (place / "socket").exists)


def _start(stack: ExitStack, folder: Path, name: str, command: list[str]) -> None:
    with (folder / f"{name}.log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    stack.callback(daemon.wait)
    stack.callback(daemon.terminate)


def _wait(folder: Path, ready) -> None:
    end = time.monotonic() + 60
    while not ready():
        if time.monotonic() > end:
            ends = [log.read_text().strip().splitlines()[-1:] for log in folder.glob("*.log")]
            raise DoesNotStart("; ".join(line for lines in ends for line in lines))
        time.sleep(0.2)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout
