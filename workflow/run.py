"""Run Snakemake on a configuration; the command ``./maskmake`` calls this.

Without arguments it prints how, and which targets there are.
"""

import os
import signal
import sys

INTERRUPTED = 128 + signal.SIGINT


def open_standard_streams() -> None:
    """Put nothing in the place of each that is closed; else the next file would take it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)  # by the jobs
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def stop(*_) -> None:
    """End at once, in one sentence."""
    os.write(2, b"Stopped; run the same command again to go on.\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    open_standard_streams()
# While modules are imported, Python can lose a Ctrl-C, or end with a traceback. Nothing has begun.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, stop)

import runpy  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).parents[1]
OLDEST, NEWEST = (3, 11), (3, 13)
# The imports and the plan of Snakemake take seconds, without a word of it.
FIRST_LINE = "Looking at what is to be done."
DRY_RUN = {"-n", "--dry-run", "--dryrun"}


def main(arguments: list[str]) -> int | str | None:
    """Exit code of the command, or the sentence that ends it."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        return f"maskmake: Python {found}; expected 3.11 to 3.13; run make setup PYTHON=python3.12."
    sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
    from maskmake.snakefile.environment import (
        check_cache_folder,
        check_path,
        leave_out_other_packages,
    )

    for sentence in leave_out_other_packages():
        print(sentence, file=sys.stderr)
    from maskmake.runtime.errors import UserError, printable
    from maskmake.snakefile.command_line import help_text, snakemake_arguments
    from maskmake.snakefile.results_lock import temporary_folder

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text(ROOT / "Snakefile"))
        return 0
    why = arguments[0] == "why"
    if why or DRY_RUN.intersection(arguments):  # ends without a word where it is piped into head
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        passed_on = snakemake_arguments(arguments[why:], ROOT / "Snakefile")
        check_path(ROOT)
        temporary_folder()
        check_cache_folder()
    except UserError as error:
        return printable(str(error))
    if "--configfile" in passed_on:
        print(FIRST_LINE, file=sys.stderr, flush=True)
    if why:
        script = str(ROOT / "workflow" / "why.py")
        sys.argv = [script, *passed_on]
        runpy.run_path(script, run_name="__main__")
        return 0
    from snakemake.cli import main as snakemake

    from maskmake.snakefile.internals import shorten_start

    if "--verbose" not in passed_on:
        shorten_start()
    if signal.getsignal(signal.SIGINT) is stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return snakemake(passed_on)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        stop()
