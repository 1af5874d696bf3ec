"""Decisions and records of a training from elsewhere: each wrong value is named."""

import pytest
from run_folders import change_json, segment, within_bounds

from maskmake.masks.decision import read_decision
from maskmake.network import saved_networks
from maskmake.predict.review import review_shards
from maskmake.runtime.errors import UserError

pytestmark = pytest.mark.long


DEEP = "[" * 100_000
DECISIONS = [
    ("threshold", float("nan")),
    ("threshold", "0.5"),
    ("threshold", None),
    ("threshold", -5),
    ("threshold", 1.5),
    ("threshold", True),
    ("threshold", ...),
    ("min_object", 1e30),
    ("min_object", -1),
    ("min_object", ...),
    ("min_hole", 2.5),
    ("upper", 2),
    ("temperature", 0),
    ("temperature", float("nan")),
    ("temperature", "x"),
    ("method", "three_level"),
    ("validation", {"foreground": ["x"], "expected_mean_dice": [None]}),
]


@pytest.mark.parametrize(("key", "value"), DECISIONS)
def test_a_decision_with_a_wrong_value_is_named(run, image, tmp_path, key, value):
    change_json(run / "decision.json", [key], value)
    with within_bounds(), pytest.raises(UserError) as error:
        segment(run, image, tmp_path / "out")
    text = str(error.value)
    assert text.startswith(f"{run}/decision.json: ") and text.endswith("makes it.")
    assert key in text or "NaN" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"a": 1', DEEP, '{"threshold": 1e999}', b"\xff", b"\0" * (2**25 + 1)],
    ids=["empty", "no keys", "list", "null", "cut", "deep", "infinite", "bytes", "huge"],
)
@pytest.mark.parametrize("name", ["decision.json", "fold0/training.json", "run.json"])
def test_a_document_that_is_none_is_named(run, image, tmp_path, name, content):
    (run / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with within_bounds(), pytest.raises(UserError, match=name):
        segment(run, image, tmp_path / "out")


def test_the_review_refuses_what_segment_refuses(run):
    """It reads only the same file, and is a job of its own."""
    change_json(run / "decision.json", ["validation", "foreground"], ["x"])
    with pytest.raises(UserError, match=r"validation\.foreground"):
        review_shards([], read_decision(run / "decision.json", any_version=True))


TRAININGS = [
    (["preprocessing", "channels"], "1"),
    (["preprocessing", "channels"], 0),
    (["preprocessing", "channels"], 2),
    (["preprocessing", "dtype"], "object"),
    (["preprocessing", "dtype"], "no such"),
    (["preprocessing", "dtype"], "float64"),
    (["preprocessing", "scale"], [1.0, 2.0]),
    (["preprocessing", "offset"], []),
    (["settings", "backend"], "../../x"),
    (["settings", "backend"], "numpy"),
    (["settings", "backend"], None),
    (["settings", "architecture"], "eval"),
    (["settings", "encoder"], "__import__"),
    (["settings", "encoder"], "resnet1"),
    (["settings", "patch"], 10**9),
    (["settings"], ...),
    (["precision"], "int8"),
    (["parameters"], 10**12),
    (["parameters"], 3),
]


@pytest.mark.parametrize(("keys", "value"), TRAININGS)
def test_a_training_record_with_a_wrong_value_is_named(run, image, tmp_path, keys, value):
    saved_networks.known_encoders()  # which imports the library
    change_json(run / "fold0/training.json", keys, value)
    with within_bounds(), pytest.raises(UserError, match=r"fold0/training\.json|says 3") as error:
        segment(run, image, tmp_path / "out")
    assert keys[-1] in str(error.value) or "numbers" in str(error.value)
