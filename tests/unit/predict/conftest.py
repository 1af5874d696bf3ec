"""What lets the networks of ``stand_ins`` be asked."""

import pytest


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
    from maskmake.predict import predictor as predictors

    monkeypatch.setattr(predictors, "available_memory", lambda: None)
