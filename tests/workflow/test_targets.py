"""Which jobs run for which target."""

import pytest
from targets import SCORES, TARGETS
from workspace import NOTHING_TO_DO, configure, finish, planned

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png


@pytest.mark.parametrize("target", TARGETS)
def test_target_plans_what_it_needs_and_no_more(target, folder):
    assert planned(folder, target) == TARGETS[target]


def test_segment_of_a_run_plans_its_training(folder):
    write_png(folder / "new/x.png", synthesize(20, 96, 1)[0])
    configure(folder, segment={"images": "new"})
    assert planned(folder, "segment") == TARGETS["results/tiny/runs/a/decision.json"] | {
        "segment-0", "segment-review", "segment-page", "segment-check",
    }  # fmt: skip


def test_export_packs_each_run_with_its_scores(folder):
    assert planned(folder, "export") == SCORES | {"a-export", "b-export"}


def test_finished_workflow_has_nothing_to_do(finished):
    assert NOTHING_TO_DO in finish(finished)
    assert planned(finished, *TARGETS) == set()


def test_one_file_can_be_made_alone(finished_copy):
    decision = finished_copy / "results/tiny/runs/a/decision.json"
    other = finished_copy / "results/tiny/runs/b/decision.json"
    before = decision.read_text()
    decision.unlink()
    other.unlink()
    finish(finished_copy, "results/tiny/runs/a/decision.json")
    assert decision.read_text() == before
    assert not other.exists()
