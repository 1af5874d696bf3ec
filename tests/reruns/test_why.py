"""The command that says why something would run again."""

import base64
import re
import shutil

import pytest
from workspace import CONFIG, ROOT, configure, copy_workspace, why

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png
from maskmake.snakefile.rerun_reasons import describe_reasons


def test_nothing_has_changed(finished):
    assert why(finished) == (0, "Nothing would run again.\n", "")


def test_a_setting_is_named_with_both_values(finished, tmp_path):
    configure(tmp_path, train={**CONFIG["train"], "epochs": 2})
    code, said, _ = why(finished, config=tmp_path / "config.yaml")
    assert code == 0
    words = "plan_run (run a):\n  the setting train.epochs was 1 and is 2\n"
    assert words in said
    assert "predict_fold (run a, fold 0):\n  made again before it: results/tiny/runs/a" in said
    assert "validate" not in said


def test_a_setting_is_named_beside_another_reason(finished, tmp_path):
    """Snakemake itself looks at no setting where an input is newer or an output is missing."""
    folder = copy_workspace(finished, tmp_path / "work")
    write_png(folder / "labels/00.png", synthesize(20, 96, 1)[1])
    (folder / "results/tiny/report.html").unlink()
    predict, train = {"tta": True}, {**CONFIG["train"], "epochs": 2}
    configure(folder, train=train, predict=predict, runs={"a": {}})
    _, said, _ = why(folder)
    blocks = dict(part.split(":\n", 1) for part in re.split(r"\n(?! )", said) if ":\n" in part)
    assert "labels/00.png was changed" in blocks["validate"]
    assert "  the setting train.epochs was 1 and is 2" in blocks["plan_run (run a)"]
    assert (
        "  the setting predict.tta was False and is True" in blocks["predict_fold (run a, fold 0)"]
    )
    assert "  missing: results/tiny/report.html" in blocks["report"]
    assert "  the setting runs.b was " in blocks["report"]


def test_input_files_that_a_step_no_longer_has_are_named(finished, tmp_path):
    configure(tmp_path, runs={"a": {}})
    words = "it no longer has the input files: results/tiny/runs/b/metrics.json, "
    assert f"compare:\n  {words}" in why(finished, config=tmp_path / "config.yaml")[1]


def test_only_what_a_target_needs_is_named(finished, tmp_path):
    configure(tmp_path, train={**CONFIG["train"], "epochs": 2})
    assert (
        why(finished, "split", config=tmp_path / "config.yaml")[1] == "Nothing would run again.\n"
    )


def test_an_edited_file_of_the_code_is_named(finished, tmp_path):
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    shutil.copy(ROOT / "Snakefile", tmp_path)
    path = tmp_path / "workflow/scripts/maskmake/masks/learning.py"
    path.write_text(path.read_text() + "\npass\n")  # a blank line is no edit
    _, said, _ = why(finished, workflow=tmp_path)
    assert "decide_run (run b):\n  the code maskmake/masks/learning.py was edited\n" in said


def test_images_and_missing_results_are_named(finished, tmp_path):
    folder = copy_workspace(finished, tmp_path / "work")
    write_png(folder / "images/00.png", synthesize(20, 96, 1)[0])
    (folder / "images/07.png").unlink()
    _, said, _ = why(folder, "validate")
    assert "images/00.png was changed" in said
    assert "images/07.png was removed" in said
    shutil.copy(finished / "images/07.png", folder / "images")
    shutil.copy(finished / "images/00.png", folder / "images")
    (folder / "results/tiny/report.html").unlink()
    assert why(folder)[1] == "report:\n  missing: results/tiny/report.html\n"


def test_an_interruption_is_no_option(finished, tmp_path):
    folder = copy_workspace(finished, tmp_path / "work")
    for name in (
        "model.keras",
        "history.csv",
        "training.json",
        "augmented.npy",
    ):  # as Snakemake marks what a job has begun
        path = f"results/tiny/runs/a/fold0/{name}"
        marked = base64.b64encode(path.encode()).decode()
        (folder / ".snakemake/incomplete" / marked).touch()
    configure(tmp_path, train={**CONFIG["train"], "loss": "dice"})
    _, said, _ = why(folder, "train", config=tmp_path / "config.yaml")
    words = (
        "fold 0):\n  it was interrupted\n  the setting train.loss was 'bce_dice' and is 'dice'\n"
    )
    assert words in said
    assert "forced" not in said


def test_what_ends_snakemake_ends_the_command(finished, tmp_path):
    configure(tmp_path, train={"epoch": 2})
    code, said, complaint = why(finished, config=tmp_path / "config.yaml")
    assert code != 0
    assert not said
    assert "train.epoch" in complaint


@pytest.mark.parametrize(
    ("reason", "phrases"),
    [
        ("Forced execution", ["it is forced by an option"]),
        (
            "Interrupted; Forced execution; Params have changed since last execution: Union of "
            "exclusive params before and now across all output: before: {'steps': 200} now: "
            "{'steps': 60} ",
            ["it was interrupted", "the setting decide.steps was 200 and is 60"],
        ),
        ("Interrupted; Missing output files: a", ["it was interrupted", "missing: a"]),
        (
            "Missing output files: a, b, c, d; Set of input files has changed since last execution",
            ["missing: a, b, c (and 1 more)", "it has other input files"],
        ),
    ],
)
def test_reasons_of_snakemake_are_put_into_words(reason, phrases):
    assert describe_reasons("decide_run", ["d.json"], reason) == phrases


def changed(before: str, now: str) -> str:
    """What Snakemake says of params that have changed."""
    return (
        "Params have changed since last execution: Union of exclusive params before and now across "
        f"all output: before: {before} now: {now} "
    )


@pytest.mark.parametrize(
    ("rule", "before", "now", "phrases"),
    [
        (
            "train_fold",
            "{'loss': 'dice'},{'objects': None}",
            "{'loss': 'bce_borders'},{'objects': 'auto'}",
            ["the setting train.loss was 'dice' and is 'bce_borders'"],
        ),
        (
            "predict_fold",
            "'tensorflow'",
            "'jax'",
            ["the setting train.backend was 'tensorflow' and is 'jax'"],
        ),
        (
            "download",
            "'1f'",
            "'2e'",
            ["the list dataset.download.checksums has other sums"],
        ),
        (
            "export_run",
            "{'tile': 64, 'overlap': 0.5, 'tta': True}",
            "{'tile': 64, 'overlap': 0.5, 'tta': False}",
            ["the setting predict.tta was True and is False"],
        ),
        (
            "export_run",
            "{'author': 'A now: B'}",
            "{'author': 'A; Software now: C'}",
            ["the setting export.author was 'A now: B' and is 'A; Software now: C'"],
        ),
        (
            "plan_run",
            "{'patch': 'auto', 'batch': 2}",
            "{'patch': 'auto', 'batch': 2, 'planned_with': {'patch': 64}}",
            ["the setting train.patch was 64 and is 'auto'"],
        ),
    ],
)
def test_each_changed_param_is_told_as_what_a_user_has_set(rule, before, now, phrases):
    assert describe_reasons(rule, ["out"], changed(before, now)) == phrases


def test_what_cannot_be_read_is_told_as_snakemake_says_it():
    reason = changed("{'rate': inf}", "{'rate': 1}")
    assert describe_reasons("decide_run", ["out"], reason) == [reason]


@pytest.mark.parametrize(
    ("rule", "name", "setting"),
    [
        ("validate", "value_range", "dataset.range"),
        ("validate", "tolerance", "dataset.label_tolerance"),
        ("binarize", "channels", "dataset.channels"),
        ("plan", "selection", "dataset.channels"),
        ("train_fold", "loss", "train.loss"),
        ("train_fold", "objects", "decide.objects"),
    ],
)
def test_a_param_has_the_name_of_its_setting(rule, name, setting, tmp_path):
    reason = (
        "Params have changed since last execution: Union of exclusive params before and now across "
        f"all output: before: {{'{name}': 1, 'other': 0}} now: {{'{name}': 2, 'other': 0}} "
    )
    (phrase,) = describe_reasons(rule, [str(tmp_path / "out.json")], reason)
    assert phrase == f"the setting {setting} was 1 and is 2"
