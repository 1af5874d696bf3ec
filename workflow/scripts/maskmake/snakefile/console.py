"""What a person sees of a run: a line for each step that starts and ends, and an end that tells.

This takes the place of Snakemake's own lines on the terminal. A logger plugin of Snakemake could do
the same, but only as an installed package, and a profile that names it fails where it is not
installed. Snakemake's log below ``.snakemake/log`` still has everything, and so has the terminal
with ``--verbose``.
"""

import difflib
import functools
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from maskmake.runtime.errors import STORAGE_FAULTS, describe_storage_fault, printable
from maskmake.snakefile import internals
from maskmake.snakefile.causes import (
    HINT_WITHOUT_WORDS,
    cause_on_cluster,
    fault_of_disk,
    first_cause,
    words_of_executor,
)

WHY = "./maskmake why with the same arguments says what is left"
INTERRUPTED = f"Stopped; run the same command again to go on; {WHY}."
# What Snakemake says beside its events that helps nobody who waits for a result.
NOISE = re.compile(
    "Assuming unrestricted|Building DAG|Using shell|Select jobs|Execute |Conda environments|"
    "Touching output|Complete log|Elapsed time|Removing output files|Exiting because a job|"
    "Shutting down, this|Group jobs: inactive|Singularity containers|Waiting (at most|for)"
)
USER_STOPS = "Terminating processes on user request"
NOTHING_TO_DO = "Nothing to be done"
JOBS_FAILED = "At least one job did not complete successfully"
# The kind of an error and where it is in the Snakefile, before its text and after it.
HEAD = re.compile(r'^\w+(?: in (?:rule \w+ in )?file ".*?", line \d+)?:\n')
PLACE = re.compile(r'^  File ".*", line \d+, in .*\n?', re.MULTILINE)
INPUT_FUNCTION = re.compile(r"^Error:\n  \w+:\n(.*?)\nWildcards:\n.*", re.DOTALL)
NO_RULE = re.compile(r"No rule to produce (.+?)(?: \(if you use input functions.*)?\.?$", re.M)
SYSTEM_FAULT = re.compile(r"\[Errno (\d+)\] ([^:\n]+)(?:: '(.*)')?")
EXIT_STATUS = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.(\w+)")
# What is said at the end before the last words of a rule.
HEADLINES = {"report": "evaluate_run"}
COMPARING = "compare"  # the rule that takes the scores of all runs, on which the report waits
MOST = 8  # results that are named at the end
RED, YELLOW, PLAIN = "\033[31m", "\033[33m", "\033[0m"
CLEAR_LINE = "\r\033[K"  # of what a job draws on a terminal


def install(workflow) -> None:
    """Let the Snakemake of this process speak in few lines, unless an option asks for all of them.

    In another workflow that uses this one its own lines count, and the Snakemake of a job on a
    cluster has a log of its own.
    """
    if internals.is_module(workflow) or not internals.wants_short_output(workflow):
        return
    stream, coloured = internals.terminal(workflow)
    if internals.is_dry_run(workflow):  # whose lines are what was asked for

        def explained(kind: str, text: str) -> str:
            return explain(kind, text, internals.rule_names(workflow))

        internals.put_errors_through(explained)
    elif internals.is_main_process(workflow):
        sys.excepthook = _end_in_one_line
        internals.speak_through(Console(workflow, stream, coloured))
    elif not internals.is_job_of_cluster(workflow):
        internals.speak_through(JobConsole(stream))


def _end_in_one_line(kind, error, trace) -> None:
    """Say that Ctrl-C ended Snakemake where it does not say so itself, while it plans its jobs."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


class Step:
    """A job between its start and its end."""

    def __init__(self, number: int, record: Any):
        self.number, self.logs = number, [Path(log) for log in record.log]
        wildcards = record.wildcards or {}
        self.label, self.run = label(record.rule_name, wildcards), wildcards.get("run")
        self.rule = record.rule_name
        self.start = time.monotonic()

    @property
    def duration(self) -> str:
        """The time since its start."""
        return duration(time.monotonic() - self.start)


class Console(logging.Handler):
    """Puts the records of the Snakemake that a user started into few lines.

    Args:
        workflow: of Snakemake, whose rules need not be read yet.
        stream: the terminal, or what stands for it.
        coloured: whether to show faults in red and warnings in yellow.
    """

    def __init__(self, workflow, stream: TextIO, coloured: bool = False):
        super().__init__()
        self._workflow, self._stream, self._coloured = workflow, stream, coloured
        self._start = time.monotonic()
        self._steps: dict[int, Step] = {}
        self._numbers: dict[int, int] = {}
        self._total = 0
        # Of each job that has failed and was not started again: what is said of it, and its run.
        self._failed: dict[int, tuple[str, str | None]] = {}
        self._explained: str | None = None  # the last error of Snakemake itself
        self._said_since = False  # a line after the cause of a failure
        self._interrupted = False
        self._events = {
            LogEvent.RUN_INFO: self._plan,
            LogEvent.JOB_INFO: self._begin,
            LogEvent.JOB_FINISHED: self._finish,
            LogEvent.JOB_ERROR: self._fail,
            LogEvent.GROUP_ERROR: self._fail_group,
            LogEvent.PROGRESS: self._progress,
            LogEvent.ERROR: self._error,
            None: self._other,
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Say what a record means, if it means anything."""
        try:
            act = self._events.get(getattr(record, "event", None))
            if act:
                act(record)
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)

    @functools.cached_property
    def _meanings(self) -> dict[str, str]:
        """What each rule that has outputs does; the others are targets, which do nothing."""
        return internals.meanings(self._workflow)

    def _say(self, text: str, colour: str = "") -> None:
        self._said_since = True
        text = printable(text)
        text = f"{colour}{text}{PLAIN}\n" if colour and self._coloured else f"{text}\n"
        self._stream.write(f"{CLEAR_LINE}{text}" if self._stream.isatty() else text)
        self._stream.flush()

    def _plan(self, record) -> None:
        counts = {rule: n for rule, n in record.stats.items() if rule in self._meanings}
        self._total = sum(counts.values())
        names = (f"{rule} x {n}" if n > 1 else rule for rule, n in counts.items())
        if self._total:
            self._say(f"{_steps(self._total)}: {', '.join(names)}")

    def _begin(self, record) -> None:
        if record.rule_name not in self._meanings:
            return
        self._failed.pop(record.jobid, None)
        # That of the first attempt, where it is not the first.
        number = self._numbers.setdefault(record.jobid, len(self._numbers) + 1)
        step = self._steps[record.jobid] = Step(number, record)
        meaning = self._meanings[record.rule_name]
        self._say(f"{self._count(step)} {step.label}: {meaning}")

    def _count(self, step: Step) -> str:
        return f"[{step.number}/{max(self._total, step.number)}]"

    def _finish(self, record) -> None:
        step = self._steps.pop(record.job_id, None)
        if step:
            self._say(f"{self._count(step)} {step.label}: done in {step.duration}")

    def _progress(self, record) -> None:
        if record.done == record.total:
            self._end(f"{_steps(self._total)} in {duration(time.monotonic() - self._start)}.")

    def _end(self, first: str) -> None:
        jobs = internals.jobs_of_targets(self._workflow, HEADLINES)
        self._say("\n".join([first, *describe_results(jobs)]))

    def _fail(self, record) -> None:
        step = self._steps.pop(record.jobid, None)
        name = step.label if step else record.rule_name
        logs = step.logs if step else [Path(log) for log in record.log]
        cause = first_cause(logs)
        if self._interrupted:
            return
        here = internals.runs_on_this_machine(self._workflow)
        hint = "out of memory is the most frequent cause"
        if here is False:
            rule = step.rule if step else record.rule_name
            hint = HINT_WITHOUT_WORDS.format(rule)
            cause = cause_on_cluster(rule, cause, words_of_executor(record.rule_msg))
        # A script that is alone here has said it just now.
        alone = here and not self._steps
        explained, self._explained = self._explained, None
        if cause is None and alone and explained:  # as where the benchmark cannot be written
            cause = explained
        elif cause is None or not alone:
            cause = cause or fault_of_disk(logs)
            cause = cause or (
                f"it ended without a reason; the log is {logs[0] if logs else 'missing'}; {hint}; "
                f"{WHY}."
            )
            self._say(f"{name}: {cause}", RED)
        self._failed[record.jobid] = (f"{name}: {cause}", step.run if step else None)
        self._said_since = False

    def _fail_group(self, record) -> None:
        for job in record.job_error_info:
            self._fail(logging.makeLogRecord(job))

    def _error(self, record) -> None:
        text = record.getMessage()
        if JOBS_FAILED in text:
            self._say_causes()
        elif record.exception == "KeyboardInterrupt":
            self._say(INTERRUPTED)
        elif not EXIT_STATUS.search(text):  # of which the job has said why
            names = internals.rule_names(self._workflow)
            self._explained = explain(record.exception, text, names)
            self._say(self._explained, RED)

    def _say_causes(self) -> None:
        if self._interrupted or not self._failed:
            self._say(INTERRUPTED)
            return
        self._advise()
        if self._said_since or len(self._failed) > 1:
            self._say("\n".join(cause for cause, _ in self._failed.values()), RED)

    def _advise(self) -> None:
        """Say how the runs that did not fail get a report."""
        runs = internals.runs_left_to(self._workflow, COMPARING)
        unsuccessful = {run for _, run in self._failed.values()}
        failed = [run for run in runs if run in unsuccessful]
        if failed and len(failed) < len(runs):
            self._say(
                f"For a report without {', '.join(failed)}, add {', '.join(failed)} to "
                "compare.leave_out in the configuration and run the same command again."
            )

    def _other(self, record) -> None:
        text = record.getMessage() if record.msg else ""
        if text.startswith(USER_STOPS):
            self._interrupted = True
        elif text.startswith(NOTHING_TO_DO):
            self._end(text)
        elif text and record.levelno >= logging.INFO and not NOISE.match(text):
            colours = {logging.INFO: "", logging.WARNING: YELLOW}
            self._say(text, colours.get(record.levelno, RED))


class JobConsole(logging.Handler):
    """Says, in the process of a job, only what its script could not say itself.

    Args:
        stream: the terminal, or what stands for it.
    """

    def __init__(self, stream: TextIO):
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: Any) -> None:
        """Say what a record means, if it means anything."""
        try:
            text = record.getMessage() if record.msg else ""
            if getattr(record, "event", None) == LogEvent.ERROR:
                found = EXIT_STATUS.search(text)
                if found and not found[2]:
                    return  # the script has said why
                if found:
                    text = f"The process of the job was killed ({found[2]})."
                text = explain(record.exception, text)
            elif hasattr(record, "event"):
                return
            self._stream.write(f"{printable(text)}\n")
            self._stream.flush()
        except BrokenPipeError:
            raise
        except Exception:
            self.handleError(record)


def label(rule: str, wildcards: Mapping[str, str]) -> str:
    """Rule and wildcards of a job: ``train_fold (unet, fold 0)``."""
    values = [
        str(value) if name == "run" else f"{name} {value}" for name, value in wildcards.items()
    ]
    return f"{rule} ({', '.join(values)})" if values else rule


def duration(seconds: float) -> str:
    """``7 s``, ``3:05 min`` or ``2:03:05 h``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def last_line(log: Path) -> str | None:
    """The last line of a log; ``None`` where there is none."""
    if not log.is_file():
        return None
    lines = log.read_text(encoding="utf-8", errors="backslashreplace").strip().splitlines()
    return lines[-1] if lines else None


def describe_results(jobs: Iterable[tuple[str, Mapping[str, str], list[str], list[str]]]):
    """What came out of jobs and where: the last line of the log of each, or else its outputs.

    Args:
        jobs: rule, wildcards, logs and outputs of each.
    """
    lines = []
    for rule, wildcards, logs, outputs in jobs:
        said = next(filter(None, (last_line(Path(log)) for log in logs)), None)
        said = said or f"{rule}: {', '.join(outputs[:MOST])}"
        lines.append(f"{label('', wildcards).strip(' ()')}: {said}" if wildcards else said)
    if len(lines) > MOST:
        lines = [f"(and {len(lines) - MOST} before these)", *lines[-MOST:]]
    return lines


def explain(kind: str, text: str, targets: Iterable[str] = ()) -> str:
    """An error of Snakemake without its class and its place in the Snakefile.

    Args:
        kind: name of its class.
        text: as Snakemake formats it.
        targets: names among which a misspelt one is looked for.
    """
    if found := NO_RULE.search(text):
        wanted = found[1]
        close = difflib.get_close_matches(wanted, targets, 1)
        guess = f"did you mean {close[0]}? " if close else ""
        return f"{wanted}: no such target; {guess}./maskmake alone lists the targets."
    fault = SYSTEM_FAULT.search(text)
    if fault and int(fault[1]) in STORAGE_FAULTS:
        return describe_storage_fault(OSError(int(fault[1]), fault[2], fault[3]))
    text = PLACE.sub("", HEAD.sub("", text)) if "Traceback" not in text[:20] else text
    return INPUT_FUNCTION.sub(r"\1", text).strip() or kind


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
