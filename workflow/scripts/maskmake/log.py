"""The log of a job, and the place where a user's mistake becomes a sentence and an exit code."""

import errno
import logging
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger("maskmake")

STORAGE_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


class UserError(Exception):
    """A fault the user can mend.

    Its text is one sentence for each fault: which file or key, what was found, what was
    expected, what to do.
    """


def configure_logging(log_file: str | None) -> None:
    """Send the package's log to standard error and, where a path is given, to that file."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log_file, mode="w", encoding="utf-8"))
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False  # or a full disk puts a traceback beside each line
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


@contextmanager
def job(snakemake):
    """Run a rule's script: log to its log file and to standard error.

    A ``UserError``, a full or read-only disk, Ctrl-C and SIGTERM end the job with one sentence and
    exit code 1; any other exception is a defect of maskmake and is logged with its traceback.
    """
    configure_logging(snakemake.log[0] if snakemake.log else None)
    on_sigterm = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
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
        logger.error(
            "%s: %s; free space or mend the permissions, then run again.",
            error.filename or "the results folder",
            error.strerror,
        )
        raise SystemExit(1) from None
    except Exception:
        logger.exception("%s failed", snakemake.rule)
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)
