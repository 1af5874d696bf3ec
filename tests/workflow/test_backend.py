"""A run on another Keras backend than TensorFlow."""

from importlib.util import find_spec

import pytest
from workspace import CONFIG, configure, finish

from maskmake.runtime.files import read_json


@pytest.mark.skipif(find_spec("jax") is None, reason="needs jax")
def test_a_run_on_jax_is_trained_and_predicts(finished_copy, monkeypatch):
    # A few steps are no reason to optimise the code they run.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    monkeypatch.setenv("XLA_FLAGS", quick)
    configure(finished_copy, train={**CONFIG["train"], "backend": "jax"}, runs={"a": {}})
    # Keras would have TensorFlow in a fork. What follows the prediction knows no backend.
    finish(finished_copy, "results/tiny/runs/a/fold0/probabilities.npy", fork_jobs=False)
    training = read_json(finished_copy / "results/tiny/runs/a/fold0/training.json")
    assert training["settings"]["backend"] == "jax"
    assert "jax" in training["versions"]
