"""The rules of the project that a program can check."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from workspace import ROOT, snakemake

from maskmake.snakefile.code_hash import used_files

BIN = Path(sys.executable).parent
ENVIRONMENT = {
    "python_version": "3.12",
    "python_full_version": "3.12.0",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}
LARGEST_FILE = 1_000_000

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work|mnt|scratch|tmp)/\w")
# An index of packages; the files of a release are named by their hashes alone.
REGISTRIES = re.compile(r"--(?:extra-)?index-url|https?://[\w.-]*(?:pypi|pythonhosted|conda)")
REQUIREMENT = re.compile(r"^(\w.+?) \\$", re.MULTILINE)
RULE_FILES = [
    ROOT / "Snakefile",
    ROOT / "workflow/Snakefile",
    *ROOT.glob("workflow/rules/*.smk"),
]
DOCUMENTED_RULE = re.compile(r'^ *rule (\w+):\n(?: +"""([^\n"]+\.)"""\n)?', re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "config/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
CODE_SPAN = re.compile(r"(?<!`)`([^`\s]+)`(?!`)")
# Files and folders of the repository; results have other suffixes, or "<" in their names.
REPOSITORY_PATH = re.compile(r"[\w./-]+(?:\.(?:py|smk|ya?ml|toml|lock|md|cff|j2)|/)")
NAMED_FROM = [ROOT, ROOT / "workflow/scripts", ROOT / "workflow/scripts/maskmake", ROOT / "tests"]
RULE = re.compile(r'envs/(\w+)\.yaml".*?scripts/(\w+\.py)"', re.DOTALL)


@pytest.mark.parametrize(
    "command",
    [
        "ruff check .",
        "ruff format --check .",
        "snakefmt --check Snakefile workflow/rules",
        "mypy",
        "lint-imports --no-logo",
    ],
)
def test_style_types_and_layers(command):
    program, *arguments = command.split()
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "workflow/scripts"},  # for lint-imports
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_finds_nothing(folder):
    code, output = snakemake(folder, "--lint", gpu=None)
    assert code == 0, output


def test_every_rule_has_a_docstring():
    rules = [rule for path in RULE_FILES for rule in DOCUMENTED_RULE.findall(path.read_text())]
    assert len(rules) > 20
    assert [name for name, docstring in rules if not docstring] == []


def test_snakemake_lists_the_targets_with_their_docstrings(folder):
    code, output = snakemake(folder, "--list-target-rules", gpu=None)
    assert code == 0
    assert "\nevaluate (The scores of each run on the test images.)\n" in output


# The Snakefile may read these of Snakemake's workflow; snakefile.internals asks for all else.
PUBLIC = {"current_basedir", "overwrite_configfiles"}


def test_rule_files_use_no_internals_of_snakemake():
    uses = {
        name for path in RULE_FILES for name in re.findall(r"\bworkflow\.(\w+)", path.read_text())
    }
    assert uses - {"rst"} == PUBLIC  # rst: of the caption workflow.rst


# --- what is in the repository --------------------------------------------------------------------


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs git")
    if done.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in files if path.is_file()]


def lines_with(pattern: re.Pattern, paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path}:{n}: {line}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def test_no_file_is_large(tracked):
    assert [path for path in tracked if path.stat().st_size > LARGEST_FILE] == []


def test_no_path_of_a_machine(tracked):
    paths = [path for path in tracked if path != Path(__file__).resolve()]
    assert lines_with(MACHINE_PATHS, paths) == []


def test_no_address_of_a_package_registry(tracked):
    paths = [path for path in tracked if path != Path(__file__).resolve()]
    assert lines_with(REGISTRIES, paths) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page):
    links = [link for link in LINK.findall((ROOT / page).read_text()) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_of_the_repository_exists(page):
    spans = CODE_SPAN.findall((ROOT / page).read_text())
    paths = [span for span in spans if REPOSITORY_PATH.fullmatch(span)]
    assert len(paths) > 20
    missing = [p for p in paths if not any((folder / p).exists() for folder in NAMED_FROM)]
    assert missing == []


def test_the_version_is_the_same_everywhere():
    version = (ROOT / "workflow/scripts/maskmake/VERSION").read_text().strip()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changes = re.findall(r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["version"] == citation["version"] == version
    assert changes[0] == (version, str(citation["date-released"]))


# --- what is installed ----------------------------------------------------------------------------

LOCKS = ["requirements.lock", "requirements-gpu.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_the_lock_has_a_hash(name):
    text = (ROOT / name).read_text()
    requirements = [line for line in text.splitlines() if re.match(r"\w", line)]
    with_hash = re.findall(r"^\w+.*==.* \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(with_hash) == len(requirements) > 50
    assert "index-url" not in text


def test_what_only_tests_need_is_not_installed_for_users():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {
        canonicalize_name(Requirement(line).name) for line in project["dependency-groups"]["dev"]
    }
    needed -= {"boto3"}  # of the plugin for S3
    for_users, for_tests = locked_versions(), locked_versions("requirements-dev.lock")
    assert needed <= for_tests.keys() and not needed & for_users.keys()
    both = for_users.keys() & for_tests.keys()
    assert {name: for_users[name] for name in both} == {name: for_tests[name] for name in both}
    assert "rfc3987-syntax" not in for_tests  # jsonschema imports it where it is: two seconds a job


@pytest.mark.slow
def test_the_locked_packages_are_listed_in_cyclonedx(tmp_path):
    program = BIN / "cyclonedx-py"
    if not program.exists():
        pytest.skip("needs the packages of requirements-dev.lock")
    listed = tmp_path / "list.json"
    subprocess.run(
        [
            program,
            "requirements",
            "--no-validate",
            "--output-reproducible",
            "-o",
            listed,
            ROOT / "requirements.lock",
        ],
        check=True,
    )
    found = json.loads(listed.read_text())
    assert found["bomFormat"] == "CycloneDX"
    names = {canonicalize_name(item["name"]) for item in found["components"]}
    assert names >= locked_versions().keys()


def locked_versions(lock: str = "requirements.lock") -> dict[str, str]:
    """Version of each package that a lock installs in a conda environment."""
    lines = REQUIREMENT.findall((ROOT / lock).read_text())
    entries = [Requirement(line) for line in lines]
    return {
        canonicalize_name(entry.name): str(entry.specifier).removeprefix("==")
        for entry in entries
        if entry.marker is None or entry.marker.evaluate(ENVIRONMENT)
    }


def pinned_versions(environment: str) -> dict[str, str]:
    """Version of each package in the pip section of a conda environment."""
    file = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())
    assert "python=3.12" in file["dependencies"]
    (pip,) = (entry["pip"] for entry in file["dependencies"] if isinstance(entry, dict))
    pairs = [line.split("==") for line in pip]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("environment", ["images", "keras"])
def test_environment_has_the_versions_of_the_lock(environment):
    pinned, locked = pinned_versions(environment), locked_versions()
    assert pinned == {name: locked.get(name) for name in pinned}


def imported_packages(script: Path) -> set[str]:
    """The packages from which a script and the modules that it uses import."""
    names = set()
    for path in used_files(script):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    package_of = packages_of_modules()
    return {canonicalize_name(package_of[name][0]) for name in names if name in package_of}


@cache
def packages_of_modules():
    return packages_distributions()  # reads the list of files of every package


@pytest.mark.parametrize("environment", ["images", "keras"])
def test_environment_has_what_its_scripts_import(environment):
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    scripts = [script for name, script in RULE.findall(rules) if name == environment]
    assert scripts
    pinned = pinned_versions(environment)
    for script in scripts:
        assert imported_packages(ROOT / "workflow/scripts" / script) <= pinned.keys(), script
