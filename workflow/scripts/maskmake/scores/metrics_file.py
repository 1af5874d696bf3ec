"""Reading ``metrics.json``, the scores of a run."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from maskmake.runtime.documents import Keywords, read_document
from maskmake.scores.scorecard import SCORES

_SCORE = {"type": ["number", "null"]}  # null where it is undefined, as are the ends of its interval
_NAMES = [*SCORES, *(f"{score}_{end}" for score in SCORES for end in ("low", "high"))]
_PIXELS = {"type": "integer", "minimum": 0}
_KEYS: dict[str, dict] = {
    **dict.fromkeys([*_NAMES, "network_low", "network_high"], _SCORE),
    **dict.fromkeys(["min_object", "min_hole", "min_seed"], _PIXELS),
    "images": {"type": "number", "minimum": 1, "multipleOf": 1},
    "foreground": {"type": "number", "minimum": 0, "maximum": 1},
    "threshold": {"type": "number"},
    "upper": {"type": ["number", "null"]},
    "temperature": {"type": "number", "exclusiveMinimum": 0},
    "seconds_train": {"type": "number"},
    "seconds_predict": {"type": "number"},
}
_Metrics = Annotated[dict, Keywords(properties=_KEYS)]


def read_metrics(path: str | Path, required: Collection[str]) -> dict[str, Any]:
    """Read ``metrics.json``, of this version or an earlier one.

    Args:
        path: of the file.
        required: the keys that have to be there.

    Raises:
        UserError: it is no JSON document, or a value is missing or not what it should be.
    """
    return read_document(path, _Metrics, required)
