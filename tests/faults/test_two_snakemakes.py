"""A second Snakemake on a results folder, and locks whose owner cannot be seen."""

import json
import os
import platform
import signal

import psutil
import pytest
import yaml
from faults import Background
from workspace import MODULE, digests, fatal, finish, planned, snakemake


@pytest.fixture
def first(folder):
    """A Snakemake whose job ``validate`` waits for a file ``go``; in the background."""
    first = Background(folder, "validate", environment=fatal("none", "os.rename audit.json$"))
    first.wait_until((folder / "waiting").exists)
    yield first
    (folder / "go").touch()
    first.process.wait()


def refusal(folder, *arguments):
    """The one sentence of a Snakemake that may not work here."""
    before = digests(folder / "results/tiny/data", "*")
    code, output = snakemake(folder, *arguments)
    assert code == 1 and "Traceback" not in output, output
    assert digests(folder / "results/tiny/data", "*") == before
    (sentence,) = [line for line in output.splitlines() if line.startswith("results/tiny: ")]
    return sentence, output


def test_the_second_is_refused_and_the_first_undisturbed(first, folder):
    pid = first.process.pid
    sentence, output = refusal(folder, "validate")
    assert f"another Snakemake is at work here (process {pid} on {platform.node()})" in sentence
    assert sentence.endswith(
        f"wait until it has ended, or stop it with: kill {pid} (lets the steps under way end) or "
        f"kill -KILL {pid} (stops them, too; a training goes on later where it was)"
    )
    assert "--unlock" not in output
    # A dry run is not work.
    assert planned(folder, "validate") == {"validate"}
    # Snakemake's own lock may be taken away; a lock of the operating system may not.
    finish(folder, "validate", "--unlock")
    assert "another Snakemake is at work here" in refusal(folder, "validate", "--cores", "1")[0]

    (folder / "go").touch()
    assert first.process.wait() == 0, first.output
    assert planned(folder, "validate") == set()


@pytest.fixture
def other(folder):
    """A configuration of other results in the same folder."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["dataset"]["name"] = "other"
    (folder / "other.yaml").write_text(yaml.safe_dump(config))
    return "other.yaml"


def test_the_end_of_one_on_other_results_leaves_the_locks_of_the_first(first, other, folder):
    locks = {path: path.read_text() for path in (folder / ".snakemake/locks").iterdir()}
    assert locks
    finish(folder, "validate", config=other)
    assert {path: path.read_text() for path in locks} == locks
    finish(folder, "validate", "--unlock", config=other)
    assert {path: path.read_text() for path in locks} == locks
    (folder / "go").touch()
    assert first.process.wait() == 0, first.output
    assert list((folder / ".snakemake/locks").iterdir()) == []


@pytest.mark.parametrize("named", [True, False], ids=["another computer", "no name"])
def test_a_lock_whose_owner_cannot_be_seen_is_kept_until_unlocked(named, folder):
    locks = folder / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/tiny/data/audit.json\n")
    if named:
        name = json.dumps([4711, "elsewhere"])
        (folder / ".snakemake/maskmake-tiny.lock").write_text(name)
    sentence, _ = refusal(folder, "validate")
    if named:
        assert "another computer (process 4711 on elsewhere)" in sentence
    assert sentence.endswith("add --unlock to the command once, then run it again.")
    finish(folder, "validate", "--unlock")
    finish(folder, "validate")


def test_a_segmentation_that_was_killed_does_not_lock_the_model_of_other_results(finished_copy):
    folder = finished_copy
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["dataset"]["name"] = "other"
    config["segment"] = {"images": "images", "model": "results/tiny/runs/a"}
    (folder / "other.yaml").write_text(yaml.safe_dump(config))
    masks = "results/other/segment/a/images"
    killed = fatal("both", "os.rename 06.png$")
    target = f"{masks}/.shards/0.csv"
    assert snakemake(folder, target, config="other.yaml", environment=killed).code != 0
    assert list((folder / ".snakemake/locks").iterdir())
    finish(folder, "decide", "--forcerun", "decide_run")
    output = finish(folder, target, config="other.yaml")
    assert "results/other: a Snakemake was killed here" in output


def test_a_lock_on_other_results_is_left_alone(folder):
    """Another data set in the same folder may be at work."""
    locks = folder / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/other/data/audit.json\n")
    dead = json.dumps([4711, platform.node()])
    (folder / ".snakemake/maskmake-tiny.lock").write_text(dead)
    assert planned(folder, "validate") == {"validate"}
    assert (locks / "0.output.lock").exists()


@pytest.mark.parametrize(("sent", "ends"), [(signal.SIGTERM, False), (signal.SIGKILL, True)])
def test_a_step_under_way_ends_as_the_refusal_says(sent, ends, first, folder):
    (job,) = psutil.Process(first.process.pid).children()
    os.kill(first.process.pid, sent)
    gone, _ = psutil.wait_procs([job], timeout=20 if ends else 5)
    assert bool(gone) == ends
    (folder / "go").touch()
    assert first.process.wait() == (-signal.SIGKILL if ends else 1)
    assert (folder / "results/tiny/data/audit.json").exists() != ends


def test_a_workflow_that_uses_this_one_is_refused_too(first, folder):
    snakefile = folder / "Snakefile"
    snakefile.write_text(MODULE)
    finish(folder, "validate", "--unlock")  # without it Snakemake's own lock refuses already
    code, output = snakemake(folder, "segmentation_validate", snakefile=snakefile)
    assert code == 1 and "Traceback" not in output
    assert f"another Snakemake is at work here (process {first.process.pid}" in output
