"""Every command and configuration that the README shows works on a small data set."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from schema import SCHEMA
from workspace import ROOT, copy_workspace

from maskmake.snakefile.config import resolve

README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:make|\./maskmake) [^`\n]+)`")
MOST_WORDS = 730

BLOCKS = [(language, body) for _, language, body in FENCE.findall(README)]
# Each configuration stands for some lines of one file.
CONFIG = {
    name: section
    for language, body in BLOCKS
    if language == "yaml"
    for name, section in yaml.safe_load(body).items()
}
SHOWN = [line.strip() for language, body in BLOCKS if not language for line in body.splitlines()]
COMMANDS = list(dict.fromkeys([*SHOWN, *SPAN.findall(FENCE.sub("", README))]))
MAKE = [command for command in COMMANDS if command.startswith("make ")]
MASKMAKE = [command for command in COMMANDS if command.startswith("./maskmake ")]


@pytest.fixture(scope="module")
def user_folder(dataset, tmp_path_factory) -> Path:
    """A folder with the data and the configuration of the README."""
    folder = tmp_path_factory.mktemp("user")
    copy_workspace(dataset, folder / "data")
    shutil.copytree(dataset / "images", folder / "data/new")
    (folder / "config").mkdir()
    (folder / "config/mine.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def output_of(command: list, folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_readme_is_short():
    assert len([text for text in README.split() if re.search(r"\w", text)]) <= MOST_WORDS


def test_every_line_of_a_code_block_is_a_command_that_is_run_here():
    assert [line for line in SHOWN if line not in MAKE + MASKMAKE] == []
    assert MAKE and MASKMAKE


def test_the_configurations_are_valid():
    settings = resolve(CONFIG, SCHEMA)
    assert settings["dataset"]["images"] == "data/images"
    assert settings["segment"]["images"] == "data/new"


@pytest.mark.parametrize("command", MAKE)
def test_make_knows_the_command(command):
    make, *arguments = shlex.split(command)
    output_of([make, "--dry-run", *arguments], ROOT)


@pytest.mark.parametrize("command", MASKMAKE)
def test_the_command_plans_its_jobs(command, user_folder):
    _, *arguments = shlex.split(command)
    dry = [] if arguments[0] in ("validate", "why") else ["--dry-run"]
    output = output_of([ROOT / "maskmake", *arguments, *dry], user_folder)
    last_rule = {"validate": "audit.html", "segment": "review", "export": "package"}.get(
        arguments[0], "report"
    )
    assert last_rule in output
    assert output.startswith("Looking at what is to be done.\n")
    assert "Using workflow specific profile" not in output
