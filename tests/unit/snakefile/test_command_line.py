"""What a user types after ./maskmake, and what Snakemake gets of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake import cli
from snakemake.settings.types import ConfigSettings

from maskmake.runtime.errors import UserError
from maskmake.snakefile.command_line import snakemake_arguments, targets

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("mine.yaml", "MINE.YAML"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("slurm", "workstation"):
        (tmp_path / "profiles" / name).mkdir(parents=True)
    (tmp_path / "Snakefile").write_text((ROOT / "Snakefile").read_text())
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ("mine.yaml", "--configfile mine.yaml"),
        ("masks mine.yaml", "masks --configfile mine.yaml"),
        ("mine.yaml masks evaluate", "masks evaluate --configfile mine.yaml"),
        ("masks mine.yaml --cores 4", "masks --configfile mine.yaml --cores 4"),
        ("masks --cores 4 --configfile mine.yaml", "masks --configfile mine.yaml --cores 4"),
        ("masks --configfile=mine.yaml -n", "masks --configfile mine.yaml -n"),
        ("mine.yaml --resources gpu=1", "--configfile mine.yaml --resources gpu=1"),
        ("mine.yaml --config train={epochs:3}", "--configfile mine.yaml --config train={epochs:3}"),
        ("mine.yaml -R evaluate_run", "--configfile mine.yaml -R evaluate_run"),
        ("--list-target-rules", "--list-target-rules"),
        ("MINE.YAML", "--configfile MINE.YAML"),
        *(
            (
                f"mine.yaml --workflow-profile{given}",
                f"--configfile mine.yaml --workflow-profile{given}",
            )
            for given in (" slurm", "=slurm", " profiles/slurm", " none", f" {ROOT}/profiles/slurm")
        ),
        ("results/a/data/plan.json mine.yaml", "results/a/data/plan.json --configfile mine.yaml"),
        ("./results/a/x.json mine.yaml -n", "./results/a/x.json --configfile mine.yaml -n"),
    ],
)
def test_what_snakemake_gets(typed, passed_on):
    got = snakemake_arguments(typed.split(), Path("Snakefile"))
    where = got.index("--snakefile")
    assert got[:where] + got[where + 2 :] == passed_on.split()


FIRST = "masks: a target comes first; write ./maskmake masks config/mine.yaml."


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("--configfile mine.yaml masks", FIRST),
        ("mine.yaml --resources gpu=1 masks", FIRST),
        ("mine.yaml --set-threads train_fold=2 masks", FIRST),
        ("mne.yaml", "mne.yaml: no such configuration file; did you mean mine.yaml?"),
        (
            "folder.yaml",
            "folder.yaml: no such configuration file; make new DATA=folder writes one.",
        ),
        ("other.yaml", "other.yaml: no such configuration file; make new DATA=folder writes one."),
        (
            "mine.yaml --config train.epochs=3",
            "train.epochs=3: found a dot; expected a section; write --config 'train={epochs: 3}'.",
        ),
        (
            "mine.yaml --config=train.epochs=3",
            "train.epochs=3: found a dot; expected a section; write --config 'train={epochs: 3}'.",
        ),
        ("mine.yaml --resources=gpu=1 masks", FIRST),
        (
            "mine.yaml --config train={epochs: 3}",
            "3}: found a space before it; put the whole setting in quotes, as in --config "
            "'train={epochs: 3}'.",
        ),
        (
            "-n mine.yaml",
            "mine.yaml: a configuration comes before the options; write ./maskmake mine.yaml -n.",
        ),
        (
            "masks -n --cores 2 mine.yaml",
            "mine.yaml: a configuration comes before the options; write ./maskmake masks mine.yaml "
            "-n --cores 2.",
        ),
        (
            "mine.yaml --workflow-profile profiles/slrum",
            "--workflow-profile: found 'profiles/slrum', and no such folder; expected slurm "
            "or workstation, or the path of a folder.",
        ),
        ("mine.yaml --workflow-profile=x -n", "--workflow-profile: found 'x', and no such folder"),
        ("split", "No configuration; write ./maskmake split config/mine.yaml"),
        ("mine.yaml --configfile split", "split: a target comes first; write ./maskmake split "),
        ("masks", "No configuration; write ./maskmake masks config/mine.yaml"),
    ],
)
def test_what_is_refused(typed, sentence):
    with pytest.raises(UserError) as error:
        snakemake_arguments(typed.split(), Path("Snakefile"))
    assert str(error.value).startswith(sentence)


def test_the_command_alone_lists_the_targets():
    said = subprocess.run([ROOT / "maskmake"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  (\w+) +[A-Z]", said, re.MULTILINE)
    page = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", page.split("\n## ")[1], re.MULTILINE)
    assert listed == ["all", *documented]
    for name, meaning in targets(ROOT / "Snakefile").items():
        assert f"  {name:11}{meaning}\n" in said


@pytest.mark.parametrize(
    ("module", "typed"),
    [("pathlib", []), ("snakemake.cli", []), ("snakemake.workflow", ["why"])],
)
def test_ctrl_c_while_modules_are_imported_ends_in_one_sentence(module, typed):
    """Even where Python would ignore it, as in a callback of a weak reference."""
    code = f"""
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.modules.pop("pathlib", None)

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                print("lost")

sys.meta_path.insert(0, Interrupt())
sys.argv = ["run.py", *{typed!r}, "mine.yaml"]
runpy.run_path({str(ROOT / "workflow/run.py")!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.endswith("Stopped; run the same command again to go on.\n")
    assert "Traceback" not in done.stderr


def test_another_python_is_named():
    """As ``./maskmake`` would be called with it."""
    code = (
        "import runpy, sys; sys.version_info = (3, 10, 1); sys.argv = ['run.py', 'validate']\n"
        f"runpy.run_path({str(ROOT / 'workflow/run.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "maskmake: Python 3.10; expected 3.11 to 3.13; run make setup PYTHON=python3.12.\n"
    )


def test_without_any_folder_for_temporary_files_nothing_starts(tmp_path):
    """As on a disk that is full; Snakemake wants to write there before it reads the Snakefile."""
    (tmp_path / "mine.yaml").write_text("dataset: {synthesis: {}}")
    code = (
        "import runpy, sys, tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"
        "sys.argv = ['run.py', 'validate', 'mine.yaml']\n"
        f"runpy.run_path({str(ROOT / 'workflow/run.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == (
        "TMPDIR: No usable temporary directory found in ['/nowhere']; expected one with space that "
        "can be written to; free space, or set the environment variable TMPDIR to such a folder.\n"
    )


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("setup", "{old} is Python 3.9; expected Python 3.11 to 3.13; write make setup "),
        ("setup PYTHON=nowhere", "nowhere is not there; expected Python 3.11 to 3.13; write make "),
        ("setup GPU=2", "GPU is '2'; write GPU=1 for the packages with CUDA, or GPU=0"),
        ("setup GPU=", "GPU is ''; write GPU=1 for the packages with CUDA, or GPU=0"),
        ("new -o setup", "DATA is not set; write make new DATA=folder"),
        ("why -o setup", "CONFIG is not set; write make why CONFIG=config/mine.yaml"),
    ],
)
def test_what_make_refuses(target, sentence, tmp_path):
    (tmp_path / "requirements.lock").write_text("")
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    command = ["make", "-f", ROOT / "Makefile", f"PYTHON={old}", *target.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert sentence.format(old=old) in line


@pytest.mark.parametrize(
    ("installed", "given", "installs"),
    [
        ("requirements-gpu.lock", "", None),
        ("requirements.lock", "", None),
        ("requirements-gpu.lock", "GPU=0", "requirements.lock"),
        ("requirements.lock", "GPU=1", "requirements-gpu.lock"),
        ("an older requirements-gpu.lock", "", "requirements-gpu.lock"),
    ],
)
def test_make_keeps_what_was_set_up(installed, given, installs, tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text("#!/bin/sh\necho 3.12\n")
    python.chmod(0o755)
    (tmp_path / ".venv/bin/pip").touch()
    stamp = tmp_path / f".venv/.installed-{installed.split()[-1]}"
    stamp.touch()
    for lock in ("requirements.lock", "requirements-gpu.lock"):
        (tmp_path / lock).touch()
        os.utime(tmp_path / lock, (1, 1))
    if "older" in installed:
        os.utime(stamp, (0, 0))
    done = subprocess.run(
        ["make", "-n", "-f", ROOT / "Makefile", *given.split(), "new", "DATA=data"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    *before, last = done.stdout.splitlines()
    assert last.startswith(".venv/bin/python workflow/new.py")
    locks = [line.split()[-1] for line in before if " -m pip " in line]
    assert locks == ([installs] if installs else [])
    assert "-m venv" not in done.stdout


def made(target: str, **environment: str) -> str:
    """What make would run here."""
    done = subprocess.run(
        ["make", "-n", "-f", ROOT / "Makefile", f"PYTHON={sys.executable}", *target.split()],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_takes_no_variable_of_another_program():
    """WSL has the name of the computer in NAME, and modules of a cluster set PYTHONHOME."""
    others = {"NAME": "DESKTOP-1", "TARGET": "x86_64", "KIND": "other", "PYTHONHOME": "/nowhere"}
    Path("requirements.lock").touch()
    assert 'workflow/new.py "data"\n' in made("new DATA=data", **others).replace(" \n", "\n")
    assert './maskmake why  "mine.yaml"' in made("why CONFIG=mine.yaml", **others)
    assert "name: demo, synthesis: {kind: membranes}" in made("demo", **others)
    assert 'workflow/new.py "data" "mine"' in made("new DATA=data NAME=mine", **others)
    assert "demo-cracks, synthesis: {kind: cracks}" in made("demo KIND=cracks", **others)


@pytest.mark.parametrize(
    ("option", "symptom"),
    [
        ("--configfile", "No such file or directory: 'masks'"),
        ("--config seed=1", "Unparsable value: 'masks'"),
        ("--resources gpu=1", "dictionary update sequence element #1 has length 1; 2 is required"),
    ],
)
def test_what_snakemake_says_of_a_target_after_an_option_is_documented(option, symptom):
    """It ends with a traceback there before it reads the Snakefile, so maskmake cannot say more."""
    command = ["--snakefile", "Snakefile", *option.split(), "masks"]
    with pytest.raises((OSError, ValueError)) as caught:
        _, arguments = cli.parse_args(command)
        ConfigSettings(cli.parse_config(arguments.config), arguments.configfile)
    assert symptom in str(caught.value)
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert f"`{symptom}`" in " ".join(page.split())
