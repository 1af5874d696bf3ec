"""Every job of the workflow is killed once, and at last the results are those of a quiet run."""

import re
from collections import Counter

import pytest
from faults import final_results
from workspace import ROOT, configure, fatal, finish, half_written, planned, snakemake

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png
from maskmake.runtime.sums import check_sums

# In this order: the rule, a target, the file at which its job is killed, and who is killed. The
# file is half written then.
CHAIN = [
    ("synthesize", "validate", "os.rename label/03.png$", "both"),
    ("validate", "validate", "os.rename audit.html$", "snakemake"),
    ("binarize", "binarize", "os.rename labels.npy$", "job"),
    ("split", "split", "os.rename splits.csv$", "both"),
    ("plan", "plan", "os.rename plan.json$", "snakemake"),
    ("plan_run", "plan_runs", "os.rename runs/a/plan.json$", "job"),
    ("train_fold", "train", "os.rename model.keras$", "both"),
    ("predict_fold", "predict", "os.rename probabilities.npy$", "snakemake"),
    ("decide_run", "decide", "os.rename decision.json$", "job"),
    ("diagnose_run", "diagnose", "os.rename specks.json$", "both"),
    ("mask_run", "masks", "os.rename masks/07.png$", "snakemake"),
    ("evaluate_run", "evaluate", "os.rename metrics.json$", "both"),
    ("compare", "compare", "os.rename comparison_pairs.csv$", "job"),
    ("report", "report", "os.rename report.html$", "both"),
    ("export_run", "export", "os.rename package$", "both"),
    ("segment_shard", "segment", "os.rename x1.png$", "snakemake"),
    ("review_masks", "segment", "os.rename review.csv$", "job"),
    ("review_page", "segment", "os.rename review.html$", "both"),
    ("check_segment", "segment", "os.rename done.json$", "job"),
]
# Killed beside the other tests of these rules.
ELSEWHERE = {"download", "fetch_weights", "retrieve"}


def test_every_rule_is_killed_in_a_test():
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = re.findall(r"^\s*(?:rule|checkpoint) (\w+):", text, re.MULTILINE)
    assert sorted(rules) == sorted([*ELSEWHERE, *(rule for rule, *_ in CHAIN)])


@pytest.fixture
def work(tmp_path):
    """The images of the quiet run, made by the workflow itself, and two images to segment."""
    configure(
        tmp_path,
        dataset={"name": "tiny", "synthesis": {"images": 8, "size": 96, "seed": 1}},
        segment={"images": "new"},
        runs={"a": {}},
    )
    for i in range(2):
        write_png(tmp_path / f"new/x{i}.png", synthesize(20 + i, 96, 1)[0])
    return tmp_path


def test_killed_once_in_every_job(work, finished):
    killed, outputs = None, []
    for _, target, place, victim in CHAIN:
        code, output = snakemake(work, target, environment=fatal(victim, place))
        assert code != 0, output
        assert_reported(output, killed)
        killed = victim
        outputs.append(output)
    outputs.append(finish(work, "report", "export", "segment", "--cores", "2"))
    assert_reported(outputs[-1], killed)

    whole = "\n".join(outputs)
    starts = Counter(re.findall(r"^\[\d+/\d+\] (\w+).*: (?!done in)", whole, re.MULTILINE))
    for rule, _, _, victim in CHAIN:
        assert starts[rule] == 2, f"{rule}: killed, done again, and no more"
        lines = re.findall(
            rf"^{rule}: the last attempt, process \d+ on \S+, was killed", whole, re.M
        )
        # Without its Snakemake a job may get to its end before it is stopped.
        assert len(lines) == 1 or victim == "snakemake", rule
    assert whole.count("resuming after epoch 1 of 1") == 1

    assert planned(work, "report", "export", "segment") == set()
    assert half_written(work) == []
    check_sums(work / "results/tiny/runs/a/package")
    assert final_results(work) == final_results(finished)


def assert_reported(output, killed):
    """The user reads in one sentence that a Snakemake was killed, and no other word of a lock."""
    lines = [line for line in output.splitlines() if "a Snakemake was killed here" in line]
    assert len(lines) == (killed in ("both", "snakemake")), output
    for line in lines:
        assert "its lock is removed, what it finished stays" in line
    assert "--unlock" not in output
