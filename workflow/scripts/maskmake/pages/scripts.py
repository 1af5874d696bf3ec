"""The third-party scripts of the pages: which files, of which version, with which bytes."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from maskmake.runtime.errors import UserError

VENDOR = Path(__file__).parent / "vendor"


class Script(NamedTuple):
    """A file of an npm package, stored in the folder ``vendor`` beside its licence.

    Attributes:
        package, version: of npm.
        file: path in the package; its name is that of the stored file.
        licence: path of the licence in the package; stored as ``<package>.LICENSE.txt``.
        sha256: of the file. A step that writes pages runs again when it changes here.
    """

    package: str
    version: str
    file: str
    licence: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is stored."""
        return VENDOR / Path(self.file).name

    @property
    def licence_path(self) -> Path:
        """Where the licence is stored."""
        return VENDOR / f"{self.package}.LICENSE.txt"


# `workflow/page_scripts.py` fetches these files again. Each comes after those that it needs.
SCRIPTS = (
    Script(
        "vega",
        "6.4.0",
        "build/vega.min.js",
        "LICENSE",
        "8f6a3587cf8d4f42c7e08120e3eb05d067e746d554e39d2dcf52acc0bd5ba28f",
    ),
    Script(
        "vega-lite",
        "6.5.0",
        "build/vega-lite.min.js",
        "LICENSE",
        "83e215e84e308ee8688fa6503ba0f1cf8a3c05c0d61df2841a0b92bf86809e00",
    ),
    Script(
        "vega-embed",
        "7.3.0",
        "build/vega-embed.min.js",
        "LICENSE",
        "b1455caba2fb1a72fb46025ba0ba1316e2dbc7f0dd40a3f6040172bf9c08ba91",
    ),
    Script(
        "openseadragon",
        "6.1.1",
        "build/openseadragon/openseadragon.min.js",
        "LICENSE.txt",
        "14d587cd3ee7c4861f1a41077ce642029364a21029956ba635bd8fb1202cf9ad",
    ),
)


def script_texts() -> list[str]:
    """The scripts, ready to stand in a ``script`` element, in the order of ``SCRIPTS``.

    Raises:
        UserError: a stored file has other bytes than were vetted.
    """
    texts = []
    for script in SCRIPTS:
        content = script.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != script.sha256:
            raise UserError(
                f"{script.path}: found other bytes than those of {script.package} "
                f"{script.version}; expected the SHA-256 {script.sha256}; restore the file from "
                "the repository, or fetch it again with `python workflow/page_scripts.py`."
            )
        # The map would be asked for beside the page, where it is not.
        text = content.decode("utf-8").partition("//# sourceMappingURL=")[0]
        texts.append(text.replace("</script", "<\\/script"))
    return texts
