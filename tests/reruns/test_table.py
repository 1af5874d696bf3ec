"""What runs again after a change, and what does not: each row of table.yaml."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from schema import SCHEMA
from table import TABLE, page
from workspace import CONFIG, NOTHING_TO_DO, ROOT, configure, copy_workspace, finish

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png
from maskmake.snakefile.code_hash import code_hashes, used_files

SCRIPTS = ROOT / "workflow" / "scripts"
JOB = re.compile(r"^(?:local)?rule (\w+):$(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
RULE = re.compile(r"^ *rule (\w+):$(.*?)(?=^ *rule |\Z)", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r'"\.\./scripts/(\w+\.py)"')


def scripts_by_rule() -> dict[str, str]:
    """The script of each rule whose params have the hashes of its code."""
    texts = [path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")]
    rules = [(name, body) for text in texts for name, body in RULE.findall(text)]
    return {name: SCRIPT.search(body)[1] for name, body in rules if "code=code(" in body}


SCRIPT_OF = scripts_by_rule()


@pytest.fixture(scope="session")
def followers(finished) -> dict[str, set[str]]:
    """The rules that follow a rule, itself included."""
    graph = finish(finished, "--rulegraph", gpu=None)
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', graph))
    edges = re.findall(r"(\d+) -> (\d+)", graph)
    found = {name: {name} for name in names.values()}
    for _ in names:
        for before, after in edges:
            found[names[before]] |= found[names[after]]
    return {name: rules - {"all"} for name, rules in found.items()}


def expected(row, followers, *more) -> set[str]:
    return set().union(*(followers[rule] for rule in [*row["from"], *more]))


def planned(folder, **options) -> tuple[set[str], set[str]]:
    """The rules that would run, and the runs they would run for."""
    output = finish(folder, "--dry-run", gpu=None, **options)
    jobs = JOB.findall(output)
    assert bool(jobs) != (NOTHING_TO_DO in output), output
    runs = {run for _, body in jobs for run in re.findall(r"wildcards: run=(\w+)", body)}
    return {rule for rule, _ in jobs} - {"all"}, runs


# --- code ---------------------------------------------------------------------------------------


@pytest.fixture
def workflow(tmp_path):
    """A copy of the workflow, all its files younger than every result."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(ROOT / "Snakefile", checkout)
    for name in ("workflow", "profiles", "envs"):
        copy_code(ROOT / name, checkout / name)
    return checkout


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    """A copy of the scripts and the package, to be edited by one test after the other."""
    return copy_code(SCRIPTS, tmp_path_factory.mktemp("workflow") / "scripts")


def copy_code(source, target):
    left_out = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(source, target, copy_function=shutil.copy, ignore=left_out)


def append_code(path):
    """Edit a file: blank lines and comments alone would be no edit."""
    path.write_text(path.read_text() + "\npass\n")


def test_every_file_of_the_code_has_its_row():
    files = [*SCRIPTS.glob("*.py"), *SCRIPTS.glob("maskmake/**/*.py")]
    files += SCRIPTS.glob("maskmake/**/templates/*")
    listed = [file for row in TABLE["code"] for file in row["files"]]
    assert sorted(listed) == sorted(str(file.relative_to(SCRIPTS)) for file in files)


def test_every_rule_has_its_row():
    named = {rule for row in TABLE["code"] for rule in row["from"] + row.get("also", [])}
    texts = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    rules = {name for name, _ in RULE.findall(texts)}
    assert named == rules == set(SCRIPT_OF)


@pytest.mark.parametrize("row", TABLE["code"], ids=lambda row: row["change"])
def test_an_edit_changes_the_hashes_of_the_rules_in_its_row(row, scripts, followers):
    chain = set(TABLE["chain"])
    for file in row["files"]:
        users = {r for r, s in SCRIPT_OF.items() if scripts / file in used_files(scripts / s)}
        before = {rule: code_hashes(scripts / SCRIPT_OF[rule]) for rule in users}
        append_code(scripts / file)
        after = {rule: code_hashes(scripts / SCRIPT_OF[rule]) for rule in users}
        for rule in users:
            differ = {name for name in after[rule] if after[rule][name] != before[rule][name]}
            assert differ == {file}
        again = set().union(*(followers[rule] for rule in users & chain))
        assert again == expected(row, followers), file
        assert users - chain == set(row.get("also", [])), file


@pytest.mark.parametrize(
    "row",
    {tuple(row["from"]): row for row in reversed(TABLE["code"])}.values(),
    ids=lambda row: row["change"],
)
def test_snakemake_plans_what_the_hashes_say(row, workflow, finished, followers):
    append_code(workflow / "workflow/scripts" / row["files"][0])
    rules, _ = planned(finished, snakefile=workflow / "Snakefile")
    assert rules == expected(row, followers)


# --- settings -----------------------------------------------------------------------------------


def test_every_section_has_its_row():
    sections = {section for row in TABLE["settings"] for section in row["section"]}
    assert sections == set(SCHEMA["properties"])


@pytest.mark.parametrize("row", TABLE["settings"], ids=lambda row: row["change"])
def test_a_setting_reruns_the_rules_in_its_row(row, finished, tmp_path, followers):
    ((name, changes),) = row["section"].items()
    configure(tmp_path, **{name: {**CONFIG.get(name, {}), **changes}})
    shown = [] if name in ("segment", "export") else ["report"]
    rules, runs = planned(finished, config=tmp_path / "config.yaml")
    assert rules == expected(row, followers, *shown)
    of_runs = rules - {"validate", "binarize", "split", "plan", "compare", "report"}
    assert runs == (set(row.get("runs", "ab")) if of_runs else set())


@pytest.mark.parametrize(
    ("sections", "rules"),
    [
        pytest.param({"train": dict(reversed(CONFIG["train"].items()))}, set(), id="other order"),
        pytest.param({"runs": {"a": {}}}, {"compare", "report"}, id="a run less"),
    ],
)
def test_runs_and_sections_are_compared_by_what_they_say(sections, rules, finished, tmp_path):
    configure(tmp_path, **sections)
    assert planned(finished, config=tmp_path / "config.yaml")[0] == rules


# --- files --------------------------------------------------------------------------------------


def edit(folder):
    write_png(folder / "images/00.png", synthesize(20, 96, 1)[0])


def add(folder):
    image, label = synthesize(20, 96, 1)
    for path, pixels in ((folder / "images/08.png", image), (folder / "labels/08.png", label)):
        write_png(path, pixels)
        os.utime(path, (0, 0))  # an old file that was moved here


def remove(folder):
    (folder / "images/00.png").unlink()
    (folder / "labels/00.png").unlink()


def touch(folder):
    """All files, each at another time and none in the order in which they were made."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "/." not in str(path))
    for number, path in enumerate(files):
        moment = time.time() - (number * 7919) % 1000
        os.utime(path, (moment, moment))


def copy(folder):
    moved = folder.with_name("moved")
    folder.rename(moved)
    shutil.copytree(moved, folder, copy_function=shutil.copyfile)


FILE_CHANGES = {
    "an image is edited": edit,
    "an image and its label are added": add,
    "an image and its label are removed": remove,
    "every file is touched": touch,
    "the folder is copied, its times are lost": copy,
    "a training's model is deleted, until a target needs it": lambda f: (
        f / "results/tiny/runs/a/fold0/model.keras"
    ).unlink(),
    "the masks of a run are deleted, until a target needs them": lambda f: shutil.rmtree(
        f / "results/tiny/runs/a/masks"
    ),
    "the report is deleted": lambda f: (f / "results/tiny/report.html").unlink(),
    "the pictures of the report are deleted": lambda f: shutil.rmtree(
        f / "results/tiny/report/images"
    ),
}
CLONES = {"the workflow is cloned", "another branch is checked out and left again"}


def test_every_change_of_files_is_made():
    assert {row["change"] for row in TABLE["files"]} == FILE_CHANGES.keys() | CLONES


@pytest.mark.parametrize(
    "row",
    [row for row in TABLE["files"] if row["change"] not in CLONES],
    ids=lambda row: row["change"],
)
def test_a_change_of_files_reruns_the_rules_in_its_row(row, finished, tmp_path, followers):
    folder = copy_workspace(finished, tmp_path / "work")
    FILE_CHANGES[row["change"]](folder)
    assert planned(folder)[0] == expected(row, followers)


def git(folder, *arguments):
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_clone_and_another_branch_rerun_nothing(workflow, finished):
    script = workflow / "workflow/scripts/train.py"
    git(workflow, "init", "--initial-branch", "main")
    git(workflow, "add", ".")
    git(workflow, "commit", "-m", "workflow")
    git(workflow, "checkout", "-b", "other")
    append_code(script)
    git(workflow, "commit", "-am", "edit")
    git(workflow, "checkout", "main")
    assert script.stat().st_mtime > (finished / "results/tiny/report.html").stat().st_mtime
    clone = workflow.with_name("clone")
    git(workflow, "clone", str(workflow), str(clone))
    for checkout in (workflow, clone):
        assert planned(finished, snakefile=checkout / "Snakefile") == (set(), set())


def test_an_audit_that_finds_the_same_images_ends_there(finished, tmp_path):
    folder = copy_workspace(finished, tmp_path / "work")
    configure(folder, dataset={**CONFIG["dataset"], "label_tolerance": 0.5})
    assert "validate" in planned(folder)[0]
    finish(folder, "validate")
    # The page of the report shows the settings.
    assert planned(folder)[0] == {"report"}


def test_the_page_says_what_is_tested():
    assert (ROOT / "docs/reruns.md").read_text() == page()
    assert Path(ROOT / "README.md").read_text().count("](docs/reruns.md)") == 1
