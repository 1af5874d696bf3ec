"""Fetch the third-party scripts of the pages again, as `maskmake/pages/scripts.py` names them.

    python workflow/page_scripts.py

It needs npm. To take another version, change it in that file, run this, and write the SHA-256 that
it prints there.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from maskmake.pages.scripts import SCRIPTS, VENDOR, Script


def fetch(script: Script) -> None:
    """Store the file of a package and its licence, and say whether it is the one that is named."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{script.package}@{script.version}"
        packed = subprocess.run(
            ["npm", "pack", name, "--silent"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        with tarfile.open(Path(folder) / packed.stdout.strip()) as archive:
            for inside, path in (
                (script.file, script.path),
                (script.licence, script.licence_path),
            ):
                member = archive.extractfile(f"package/{inside}")
                assert member is not None  # as it is a file, or its absence was raised
                path.write_bytes(member.read())
    found = hashlib.sha256(script.path.read_bytes()).hexdigest()
    verdict = "as named" if found == script.sha256 else "NOT as named in scripts.py"
    print(f"{script.package} {script.version}: SHA-256 {found}, {verdict}")


if __name__ == "__main__":
    VENDOR.mkdir(exist_ok=True)
    for each in SCRIPTS:
        fetch(each)
