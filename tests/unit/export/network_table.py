"""The table of the networks that can be exported, in docs/export.md."""

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[3] / "docs/export.md"
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| ([\d–]+) \| ([\d–]+)(?: MB)? \| ([\de–-]+) \|$", re.M)


class Row(NamedTuple):
    """A row; what nobody has measured is None."""

    decoder: str
    encoder: str
    nodes: int | None
    megabytes: int | None
    difference: float | None


def networks() -> list[Row]:
    """The rows of the table."""
    return [
        Row(decoder, encoder, *(None if "–" in n else float(n) for n in numbers))
        for decoder, encoder, *numbers in ROW.findall(PAGE.read_text(encoding="utf-8"))
    ]
