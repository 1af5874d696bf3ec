"""Run Snakemake on a configuration; the command ``./maskmake`` calls this.

Without arguments it prints how, and which targets there are.
"""

import os
import signal
import sys

INTERRUPTED = 128 + signal.SIGINT


def stop(*_) -> None:
    """End at once, in one sentence."""
    os.write(2, b"Stopped; run the same command again to go on.\n")
    os._exit(INTERRUPTED)


# While modules are imported, Python can lose a Ctrl-C, or end with a traceback. Nothing has begun.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, stop)

import runpy  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).parents[1]
OLDEST, NEWEST = (3, 11), (3, 13)
# The imports and the plan of Snakemake take seconds, without a word of it.
FIRST_LINE = "Looking at what is to be done."


def main(arguments: list[str]) -> int | str | None:
    """Exit code of the command, or the sentence that ends it."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:2]))
        return f"maskmake: Python {found}; expected 3.11 to 3.13; run make setup PYTHON=python3.12."
    sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
    from maskmake.runtime.errors import UserError, printable
    from maskmake.snakefile.command_line import help_text, snakemake_arguments
    from maskmake.snakefile.results_lock import temporary_folder

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text(ROOT / "Snakefile"))
        return 0
    why = arguments[0] == "why"
    try:
        passed_on = snakemake_arguments(arguments[why:], ROOT / "Snakefile")
        temporary_folder()
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
