"""Why a job failed, from its log, its disk and what the executor of a cluster says."""

import re
from collections.abc import Iterable
from pathlib import Path

from maskmake.runtime.errors import STORAGE_FAULTS, describe_storage_fault
from maskmake.runtime.log import ERROR_MARK
from maskmake.snakefile.results_lock import write_probe

# What the executors of clusters say of every job that failed.
OF_EVERY_FAILURE = re.compile(
    r"For (?:further )?error details see the cluster/cloud log and the log files of the involved "
    r"rule\(s\)\.|Detailed failure reason unavailable \(status command is not 'sacct'\)\."
)
# What to do after a status of SLURM, and where a cluster has stopped a job and says nothing.
IN_PROFILE = "of {} in set-resources of the profile, and run the same command again"
HINTS = {
    "FAILED": f"too little memory is the most frequent cause; raise mem_mb {IN_PROFILE}",
    "OUT_OF_MEMORY": f"raise mem_mb {IN_PROFILE}",
    "TIMEOUT": f"raise runtime {IN_PROFILE}",
}
HINT_WHEN_STOPPED = f"where its time was over, raise runtime {IN_PROFILE}"
HINT_WITHOUT_WORDS = (
    f"too little memory or time is the most frequent cause; raise mem_mb or runtime {IN_PROFILE}"
)
# As ``runtime.log.job`` says it.
STOPPED = re.compile(r"\w+ was stopped; run the same command again to go on\.")
SLURM_STATUS = re.compile(r"SLURM status is: '(\w+)'")


def read_cause(log: Path) -> str | None:
    """Why a job failed, as its log says it at its end; ``None`` if it does not."""
    if not log.is_file():
        return None
    text = log.read_text(encoding="utf-8", errors="backslashreplace")
    _, mark, cause = f"\n{text}".rpartition(f"\n{ERROR_MARK}")
    return cause.strip() if mark else None


def first_cause(logs: Iterable[Path]) -> str | None:
    """What the first of some logs that ends with an error says; ``None`` without any."""
    return next(filter(None, map(read_cause, logs)), None)


def fault_of_disk(logs: Iterable[Path]) -> str | None:
    """Why nothing can be written where logs are, such as a full disk; ``None`` if it can."""
    for folder in dict.fromkeys(log.parent for log in logs):
        try:
            write_probe(folder)
        except OSError as error:
            if error.errno in STORAGE_FAULTS:
                error.filename = str(folder)
                return describe_storage_fault(error)
    return None


def words_of_executor(message: str | None) -> str:
    """What the executor of a cluster says of a job that failed, without its call."""
    text = OF_EVERY_FAILURE.sub("", (message or "").partition("sbatch call:")[0])
    return " ".join(text.split())


def cause_on_cluster(rule: str, cause: str | None, said: str) -> str | None:
    """Why a job of a cluster failed; ``None`` where neither its log nor its executor knows.

    Args:
        rule: its name.
        cause: what its log says. That it was stopped is no cause: the cluster may have done that.
        said: by its executor.
    """
    if cause and not STOPPED.fullmatch(cause):
        return cause
    status = SLURM_STATUS.search(said)
    hint = HINTS.get(status[1]) if status else HINT_WHEN_STOPPED if cause and not said else None
    words = said or cause
    return f"{words.rstrip('.')}; {hint.format(rule)}." if words and hint else words
