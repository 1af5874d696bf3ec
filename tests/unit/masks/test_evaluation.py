"""The scores of a run: what stands in metrics.json and in the tables beside it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pictures import cells

from maskmake.masks.decision import apply_decision, stored_decision
from maskmake.masks.evaluation import describe, evaluate_run
from maskmake.masks.mask_files import MaskFolder
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import read_json, sha256, write_csv, write_json, write_png
from maskmake.scores.calibration import EXPECTED
from maskmake.scores.cases import Case
from maskmake.scores.pixels import PIXEL_SCORES
from maskmake.scores.scorecard import POOLED_SCORES, SCORES, score_card

DECISION = {
    "method": "two_level",
    "threshold": 0.5,
    "upper": 0.75,
    "min_seed": 4,
    "min_object": 20,
    "min_hole": 0,
    "objects": "foreground",
    "temperature": 1.5,
}


@pytest.fixture(scope="module")
def labels():
    return {name: cells(size=64, count=8, seed=seed) for seed, name in enumerate("ab")}


@pytest.fixture(scope="module")
def probabilities(labels):
    rng = np.random.default_rng(0)
    noise = {name: rng.random(label.shape) for name, label in labels.items()}
    return {i: (0.6 * labels[i] + 0.4 * noise[i]).astype(np.float16) for i in labels}


@pytest.fixture(scope="module")
def evaluation(labels, probabilities, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    for name, probability in probabilities.items():
        write_png(folder / f"{name}.png", probability > 0.62)
    sums = [sha256(folder / f"{name}.png") for name in probabilities]
    write_csv(folder / "masks.csv", pd.DataFrame({"id": list(probabilities), "sha256": sums}))
    return evaluate_run(
        SimpleNamespace(test_ids=["a", "b"], test=probabilities.__getitem__, folds=[0]),
        labels,
        MaskFolder(folder, folder / "masks.csv"),
        {**DECISION, "reason": "is not repeated"},
        {"a": "patient 1", "b": "patient 2"},
        [{"seconds": 2.5}, {"seconds": 4.0}],
        [pd.DataFrame({"s": [1.0], "cpu_time": [9.0]}), pd.DataFrame({"s": [0.5]})],
    )


def test_metrics_have_the_keys_of_their_contract_in_order(evaluation, labels):
    intervals = [f"{name}_{end}" for name in SCORES for end in ("low", "high")]
    metrics = evaluation.metrics.contents()
    assert list(metrics) == [
        "images",
        "foreground",
        *DECISION,
        *SCORES,
        "seconds_train",
        "seconds_predict",
        *intervals,
    ]
    assert metrics["images"] == 2
    assert metrics["foreground"] == np.mean([label.mean() for label in labels.values()])
    assert metrics.items() >= DECISION.items()
    assert metrics["seconds_train"] == 6.5
    assert metrics["seconds_predict"] == 1.5


def test_the_masks_in_the_folder_are_scored(evaluation, labels, probabilities):
    cases = [Case(i, labels[i], probabilities[i], probabilities[i] > 0.62) for i in labels]
    expected = score_card(cases, DECISION["temperature"]).scores
    assert evaluation.metrics.scores == expected
    assert expected["pixel_accuracy"] < 1


def test_the_tables_have_their_columns(evaluation):
    assert list(evaluation.per_image) == ["id", "group", *SCORES, *EXPECTED]
    assert evaluation.per_image["id"].tolist() == ["a", "b"]
    assert evaluation.per_image["group"].tolist() == ["patient 1", "patient 2"]
    assert list(evaluation.resamples) == list(POOLED_SCORES)
    assert set(evaluation.reliability["probabilities"]) == {"raw", "calibrated"}


def test_a_score_without_an_interval_is_described_without_one(evaluation):
    """One image, or one group, does not tell how images scatter."""
    one = dict.fromkeys(evaluation.metrics.intervals, np.nan)
    alone = evaluation._replace(metrics=replace(evaluation.metrics, intervals=one))
    assert "mean Dice" in describe(alone) and " (" in describe(evaluation)
    assert "nan" not in describe(alone) and " (" not in describe(alone)


@pytest.mark.parametrize("value, found", [(0, "background"), (1, "foreground")])
def test_test_labels_of_one_class_are_refused(value, found, labels, tmp_path):
    run = SimpleNamespace(test_ids=["a", "b"])
    one_class = {i: np.full_like(label, value) for i, label in labels.items()}
    with pytest.raises(UserError, match=rf"split\.test: every pixel .* is {found};"):
        evaluate_run(run, one_class, tmp_path, DECISION, {}, [], [])


def test_metrics_are_written_as_they_are(evaluation, tmp_path):
    metrics = evaluation.metrics.contents()
    write_json(tmp_path / "metrics.json", metrics)
    assert list(read_json(tmp_path / "metrics.json")) == list(metrics)


@pytest.mark.parametrize(
    ("folds", "repetitions", "scores"), [([0, 1], [0, 0], PIXEL_SCORES), ([0, 0], [0, 1], SCORES)]
)
def test_several_networks_are_scored_one_by_one_with_the_decision_of_the_run(
    folds, repetitions, scores, labels, probabilities, tmp_path
):
    noisy = {i: (0.8 * p + 0.2 * p[::-1]).astype(np.float16) for i, p in probabilities.items()}
    decision = stored_decision(DECISION)
    for name, probability in probabilities.items():
        write_png(tmp_path / f"{name}.png", apply_decision(probability, decision))
    sums = [sha256(tmp_path / f"{name}.png") for name in probabilities]
    write_csv(tmp_path / "masks.csv", pd.DataFrame({"id": list(probabilities), "sha256": sums}))
    run = SimpleNamespace(
        test_ids=["a", "b"],
        test=probabilities.__getitem__,
        folds=folds,
        test_of_network=lambda number, i: [probabilities, noisy][number][i],
    )
    masks = MaskFolder(tmp_path, tmp_path / "masks.csv")
    evaluation = evaluate_run(
        run,
        labels,
        masks,
        {**DECISION, "reason": ""},
        {"a": "a", "b": "b"},
        [{"seconds": 1}],
        [pd.DataFrame({"s": [1]})],
    )
    metrics, networks = evaluation.metrics.contents(), evaluation.metrics.networks
    assert list(networks) == ["network", "fold", "repetition", *scores]
    assert networks["network"].tolist() == [0, 1]
    assert networks["fold"].tolist() == folds
    assert networks["repetition"].tolist() == repetitions
    assert networks.loc[0, list(scores)].to_dict() == pytest.approx(
        {name: evaluation.metrics.scores[name] for name in scores}
    )
    # The first network made the masks of the run here, and the second is worse.
    assert networks["mean_dice"][0] == metrics["mean_dice"] == metrics["network_high"]
    assert networks["mean_dice"][1] == metrics["network_low"] < metrics["network_high"]
    apart = f"{metrics['network_low']:.3f} to {metrics['network_high']:.3f}"
    assert f", one network by itself {apart}, on 2 test images" in describe(evaluation)
