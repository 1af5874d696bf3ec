"""Trained runs of small networks, and what lets the networks of ``stand_ins`` be asked."""

import json

import pytest

from maskmake.runtime.files import write_json


@pytest.fixture
def batches_are_shown(monkeypatch):
    """The stand-ins see each batch; to compile them would take longer than to run them."""
    from stand_ins import PointwiseNetwork  # which imports Keras

    from maskmake.predict.mean_logits import MeanLogits

    of = MeanLogits.of

    def show(self, tiles, symmetries):
        for network in self.networks:
            if isinstance(network, PointwiseNetwork):
                network.see(tiles)
                self.run_eagerly = True
        return of(self, tiles, symmetries)

    monkeypatch.setattr(MeanLogits, "of", show)


@pytest.fixture
def unknown_memory(monkeypatch):
    """The stand-ins have no layers from which memory could be estimated."""
    from stand_ins import PointwiseNetwork  # which imports Keras

    from maskmake.predict import predictor as predictors

    output_bytes = predictors.output_bytes

    def estimate(network, batch, side):
        if isinstance(network, PointwiseNetwork):
            return 0
        return output_bytes(network, batch, side)

    monkeypatch.setattr(predictors, "output_bytes", estimate)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """A function that makes a trained run: foreground is what is brighter than ``middle``.

    Its networks are those of ``small_networks``.
    """

    from saved_runs import write_fold  # which imports Keras

    def make(
        channels=1,
        dtype="uint8",
        middle=(128.0,),
        decision=(0.5, 0, 0),
        biases=(0.0, 0.0),
        **preprocessing,
    ):
        run = tmp_path_factory.mktemp("run")
        for fold, (value, bias) in enumerate(zip(middle, biases, strict=False)):
            scale, offset = [1 / 4] * channels, [-value / 4] * channels
            write_fold(run / f"fold{fold}", channels, dtype, scale, offset, bias)
            record = json.loads((run / f"fold{fold}" / "training.json").read_text())
            record["preprocessing"] |= preprocessing
            write_json(run / f"fold{fold}" / "training.json", record)
        names = ("threshold", "min_object", "min_hole")
        write_json(run / "decision.json", dict(zip(names, decision, strict=True)))
        return run

    return make


@pytest.fixture
def small_networks(monkeypatch):
    """The networks of ``make_run`` in place of those that their records name."""
    from saved_runs import build_small_network

    from maskmake.network import saved_networks

    monkeypatch.setattr(saved_networks, "build_network", build_small_network)


@pytest.fixture
def grey_run(make_run):
    return make_run(middle=(127.5,))
