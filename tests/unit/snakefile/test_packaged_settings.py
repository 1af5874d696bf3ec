"""A package brings the settings that its decision was learned with."""

import json

import pytest

from maskmake.runtime.errors import UserError
from maskmake.snakefile.packaged_settings import predict_of_model


def test_a_package_brings_the_settings_of_predict_that_nobody_set(tmp_path):
    defaults = {"overlap": 0.5, "tile": "auto", "tta": True}
    assert predict_of_model(str(tmp_path), None, defaults) == defaults  # no package
    packed = {"overlap": 0.25, "tile": 256, "tta": False, "later": 1}
    contents = {"channels": 1, "dtype": "uint8", "scale": [1.0], "offset": [0.0], "predict": packed}
    (tmp_path / "preprocessing.json").write_text(json.dumps(contents))
    assert predict_of_model(None, None, defaults) == defaults
    found = predict_of_model(str(tmp_path), None, defaults)
    assert found == {"overlap": 0.25, "tile": 256, "tta": False}
    given = {"tile": "auto"}
    assert predict_of_model(str(tmp_path), given, defaults) == found | given
    (tmp_path / "preprocessing.json").write_text("{")
    with pytest.raises(UserError, match=r"preprocessing\.json: not a whole JSON document"):
        predict_of_model(str(tmp_path), None, defaults)
