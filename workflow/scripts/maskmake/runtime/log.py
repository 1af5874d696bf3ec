"""The log of a job, and the place where a user's mistake becomes a sentence and an exit code."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from maskmake.runtime.errors import STORAGE_FAULTS, UserError, describe_storage_fault, printable
from maskmake.runtime.locks import end_with_snakemake, held
from maskmake.runtime.pulse import alive

logger = logging.getLogger("maskmake")

# Before an error in a log, so that what ended a job can be found there.
ERROR_MARK = "error: "
ORPHANED = "its Snakemake was killed, so it ends too; run the same command again to go on."


class PrintableFormatter(logging.Formatter):
    """A line as it is, but for what a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class LogFileFormatter(PrintableFormatter):
    """The same, with a mark before an error."""

    def format(self, record: logging.LogRecord) -> str:
        mark = ERROR_MARK if record.levelno >= logging.ERROR else ""
        return f"{mark}{super().format(record)}"


def configure_logging(log_file: str | None) -> None:
    """Send the package's log to standard error and, where a path is given, to that file."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setFormatter(PrintableFormatter("%(message)s"))
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        Path(log_file).write_bytes(b"")
        # Appended, because compiled code writes to the same file.
        handlers.append(
            logging.FileHandler(log_file, "a", encoding="utf-8", errors="backslashreplace")
        )
        handlers[1].setFormatter(LogFileFormatter("%(message)s"))
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False  # otherwise a full disk puts a traceback beside each line
    for handler in handlers:
        logger.addHandler(handler)


@contextmanager
def lines_to(descriptor: int) -> Iterator[None]:
    """Send lines to a copy of a file descriptor while standard error is another file."""
    with os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace") as stream:
        handlers = [each for each in logger.handlers if type(each) is logging.StreamHandler]
        former = [(handler, handler.setStream(stream)) for handler in handlers]
        try:
            yield
        finally:
            for handler, stderr in former:
                handler.setStream(stderr)


@contextmanager
def job(snakemake):
    """Run a rule's script, alone and with its Snakemake: log to its log file and standard error.

    A ``UserError``, a full or read-only disk, Ctrl-C and SIGTERM end the job with one sentence and
    exit code 1; any other exception is a defect of maskmake and is logged with its traceback.
    """
    on_sigterm = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # Held back until now: snakefile.internals.delay_ctrl_c_of_jobs.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        configure_logging(snakemake.log[0] if snakemake.log else None)
        end_with_snakemake(lambda: logger.error("%s: %s", snakemake.rule, ORPHANED))
        with alive(snakemake.rule), _alone(snakemake):
            yield
    except KeyboardInterrupt:
        logger.error("%s was stopped; run the same command again to go on.", snakemake.rule)
        raise SystemExit(1) from None
    except UserError as error:
        logger.error("%s", error)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in STORAGE_FAULTS:
            logger.exception("%s failed", snakemake.rule)
            raise SystemExit(1) from None
        logger.error("%s", describe_storage_fault(error))
        raise SystemExit(1) from None
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)


def _alone(snakemake) -> AbstractContextManager:
    """Let one process at a time do a job: that of a killed Snakemake may still be running."""
    if not snakemake.log:
        return nullcontext()
    log_file = Path(snakemake.log[0])

    def warn(sentence: str):
        return lambda process: logger.warning(sentence, snakemake.rule, process)

    return held(
        log_file.with_name(f".{log_file.stem}.lock"),
        warn("%s: waiting for %s, which does the same."),
        warn("%s: the last attempt, %s, was killed; it is done again."),
    )
