"""Write a configuration for a folder of images and labels.

    .venv/bin/python workflow/new.py FOLDER [NAME]

Says what the folder holds, and writes config/NAME.yaml, which is never replaced.
"""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from maskmake.data.starter import configuration, describe, look_at
from maskmake.runtime.errors import (
    STORAGE_FAULTS,
    UserError,
    describe_storage_fault,
    printable,
)
from maskmake.runtime.files import write_text
from maskmake.snakefile.config_files import LONGEST_NAME

USAGE = "Write .venv/bin/python workflow/new.py FOLDER [NAME], or make new DATA=FOLDER NAME=NAME."


def write_configuration(folder: str, name: str | None = None) -> None:
    """Look at a folder, print what it holds and write its configuration.

    Raises:
        UserError: no pairs were found, or the file is there already.
        OSError: the file cannot be written.
    """
    name = name.removesuffix(".yaml") if name else Path(folder).resolve().name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).lstrip("_.-")[:LONGEST_NAME] or "mine"
    path = Path("config", f"{name}.yaml")
    if path.exists():
        raise UserError(f"{path}: is there already; remove it, or give another name: NAME=other.")
    choice = look_at(folder)
    if choice is None:
        raise UserError(
            f"{folder}: images, but no labels that belong to them by their names; expected, for "
            "example, the folders image and label with equal file names, or a table pairs.csv with "
            "the columns image and label."
        )
    found = describe(choice)
    print(printable("\n".join(found)))
    write_text(path, configuration(choice, name, found).replace("THIS_FILE", str(path)))
    print(f"Written: {path}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(USAGE)
    try:
        write_configuration(*sys.argv[1:])
    except UserError as error:
        sys.exit(printable(str(error)))
    except OSError as error:
        if error.errno not in STORAGE_FAULTS:
            raise
        sys.exit(printable(describe_storage_fault(error)))
