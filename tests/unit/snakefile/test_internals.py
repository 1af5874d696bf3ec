"""What the Snakefile asks Snakemake for beyond its documentation, here and in a newer version."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.exceptions
import snakemake_interface_storage_plugins.registry
from snakemake import cli
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ConfigSettings

from maskmake.snakefile import internals, job_changes, job_commands

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"
# An output in a default storage, as Snakemake flags it.
STORED = SimpleNamespace(
    flags={"storage_object": SimpleNamespace(query="s3://bucket/work/results/a.csv")}
)


@pytest.fixture(autouse=True)
def first_warning(monkeypatch):
    monkeypatch.setattr(job_changes, "_STARTED", [NEWER])
    monkeypatch.setenv(internals.SWITCHED_OFF, "")
    monkeypatch.setattr(snakemake.exceptions, "LockException", snakemake.exceptions.LockException)


SHELL = import_module("snakemake.shell")  # the module, not its class of that name
EXECUTORS = "snakemake_interface_executor_plugins.executors.real"
NEWER = SimpleNamespace()  # a workflow without any of the names


def test_the_line_about_the_profile_is_left_out_and_no_other(monkeypatch, capsys):
    monkeypatch.setattr(cli, "parse_args", cli.parse_args)
    command = ["--snakefile", str(SCRIPTS.parents[1] / "Snakefile"), "--dry-run"]
    cli.parse_args(command)
    assert "Using workflow specific profile" in capsys.readouterr().err
    internals.shorten_start()
    cli.parse_args(command)
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit):
        cli.parse_args([*command, "--no-such-option"])
    error = capsys.readouterr().err
    assert error == "snakemake: unrecognized arguments: --no-such-option\n"


# --- the Snakemake that is installed --------------------------------------------------------------

PROBE = """
import json
import sys

sys.path.insert(0, {scripts!r})

from maskmake.snakefile import internals, job_changes, job_commands

storage http:
    provider="http"

answers = dict(
    main=internals.is_main_process(workflow),
    cluster=internals.is_job_of_cluster(workflow),
    dry_run=internals.is_dry_run(workflow),
    prefix=internals.module_prefix(workflow),
    files=internals.configuration_files(workflow),
    gpu=internals.resource_limit(workflow, "gpu"),
    other=internals.resource_limit(workflow, "disk_mb"),
    here=internals.runs_on_this_machine(workflow),
    read=internals.is_storage_address("https://example.org/0.png"),
    unread=internals.is_storage_address("nothing://example.org/0.png"),
    stored=internals.storage_object(storage.http("https://example.org/0.png")).query,
    used=internals.is_module(workflow),
    short=internals.wants_short_output(workflow),
    coloured=internals.terminal(workflow)[1],
)
internals.explain_lock(lambda: "mine")


def check():
    jobs = internals.planned_jobs(workflow)
    answers["jobs"] = sorted(job.resources.get("gpu", 0) for job in jobs)
    answers["runs"] = internals.runs_left_to(workflow, "work")
    answers["meanings"] = list(internals.meanings(workflow).values())
    answers["rules"] = internals.rule_names(workflow)
    answers["results"] = internals.jobs_of_targets(workflow, {{}})
    with open("answers.json", "w") as file:
        json.dump(answers, file)


internals.check_before_jobs(workflow, check)


rule work:
    "Makes a file."
    input:
        "a.score",
    output:
        touch("done"),
    resources:
        gpu=2,

rule score:
    "Scores a run."
    output:
        touch("{{run}}.score"),
"""

MODULE = """
module probe:
    snakefile:
        "probe.smk"
    prefix:
        "here"

use rule * from probe
"""


@pytest.mark.parametrize("prefix", ["", "here/"])
def test_the_installed_snakemake_has_every_name(prefix, tmp_path):
    (tmp_path / "probe.smk").write_text(PROBE.format(scripts=str(SCRIPTS)))
    (tmp_path / "module.smk").write_text(MODULE)
    (tmp_path / "mine.yaml").write_text("split: {}")
    command = [Path(sys.executable).with_name("snakemake"), f"{prefix}done", "--cores", "1"]
    command += ["--configfile", "mine.yaml"]
    command += ["--resources", "gpu=3", "--snakefile", "module.smk" if prefix else "probe.smk"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "newer than tested" not in done.stderr
    assert json.loads((tmp_path / "answers.json").read_text()) == {
        "main": True,
        "cluster": False,
        "dry_run": False,
        "prefix": prefix,
        "files": [] if prefix else [str(tmp_path / "mine.yaml")],
        "gpu": 3,
        "other": None,
        "here": True,
        "read": True,
        "unread": False,
        "stored": "https://example.org/0.png",
        "used": bool(prefix),
        "short": True,
        "coloured": False,
        "jobs": [0, 2],
        "runs": ["a"],
        "meanings": ["Makes a file.", "Scores a run."],
        "rules": ["work"],
        "results": [["work", {}, [], [f"{prefix}done"]]],
    }


def test_a_locked_folder_is_explained_and_can_still_be_caught():
    original = snakemake.exceptions.LockException
    internals.explain_lock(lambda: "process 7 is at work")
    error = snakemake.exceptions.LockException()
    assert isinstance(error, original) and isinstance(error, WorkflowError)
    assert str(error) == "process 7 is at work"


def test_checks_of_two_modules_are_made_one_after_the_other():
    calls = []
    workflow = SimpleNamespace(_onstart=lambda log: calls.append(log))
    internals.check_before_jobs(workflow, lambda: calls.append("first"))
    internals.check_before_jobs(workflow, lambda: calls.append("second"))
    workflow._onstart("log")
    assert calls == ["log", "first", "second"]


@pytest.mark.parametrize("prefix", ["s3://bucket/work", "s3://bucket/work/"])
def test_an_output_in_a_default_storage_has_the_path_of_its_rule(prefix):
    settings = SimpleNamespace(default_storage_prefix=prefix)
    workflow = SimpleNamespace(storage_settings=settings)
    assert internals.path_in_storage(workflow, STORED) == "results/a.csv"
    assert internals.path_in_storage(workflow, "results/a.csv") is None


# A shell lets what it starts in the background, such as all tests, ignore Ctrl-C.
JOB = """
import signal
import sys
from types import SimpleNamespace
signal.signal(signal.SIGINT, signal.default_int_handler)
print("importing", flush=True)
sys.stdin.readline()
from maskmake.runtime.log import job
with job(SimpleNamespace(log=[], rule="a_rule")):
    print("at work")
"""


def test_a_job_that_is_stopped_while_it_imports_says_so_in_a_sentence(monkeypatch):
    monkeypatch.setattr(SHELL, "sp", subprocess)
    internals.delay_ctrl_c_of_jobs()
    process = SHELL.sp.Popen(
        [sys.executable, "-c", JOB],
        stdin=SHELL.sp.PIPE,
        stdout=SHELL.sp.PIPE,
        stderr=SHELL.sp.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors == "a_rule was stopped; run the same command again to go on.\n"


def test_the_path_of_python_is_quoted_in_scripts_and_in_jobs_of_a_cluster(monkeypatch):
    executors, script = import_module(EXECUTORS), import_module("snakemake.script")
    monkeypatch.setattr(executors, "join_cli_args", executors.join_cli_args)
    monkeypatch.setattr(script, "sys", sys)
    monkeypatch.setattr(job_commands._QuotedPython, "executable", "'/my folder/python'")
    job_commands.quote_python()
    command = executors.join_cli_args([sys.executable, "-m snakemake", "--cores 2"])
    assert command == "'/my folder/python' -m snakemake --cores 2"
    assert script.sys.executable == "'/my folder/python'" and script.sys.path is sys.path


# --- a newer Snakemake ----------------------------------------------------------------------------

FALLBACKS = [
    (internals.is_main_process, [NEWER], False),
    (internals.is_job_of_cluster, [NEWER], True),
    (internals.is_dry_run, [NEWER], True),
    (internals.module_prefix, [NEWER], ""),
    (internals.configuration_files, [NEWER], []),
    (internals.named_files, [NEWER], []),
    (internals.config_arguments, [NEWER], []),
    (internals.check_before_jobs, [NEWER, print], None),
    (internals.explain_lock, [str], None),
    (internals.resource_limit, [NEWER, "gpu"], math.inf),
    (internals.planned_jobs, [NEWER], []),
    (internals.runs_on_this_machine, [NEWER], None),
    (internals.is_storage_address, ["s3://bucket/image"], True),
    (internals.limit_requests, [], None),
    (internals.storage_object, [SimpleNamespace(flags={})], None),
    (internals.path_in_storage, [NEWER, STORED], None),
    (internals.config_arguments, [NEWER], []),
    (internals.give_types_to_arguments, [NEWER, {}], None),
    (internals.is_module, [NEWER], True),
    (internals.shorten_start, [], None),
    (internals.wants_short_output, [NEWER], False),
    (internals.terminal, [NEWER], (sys.stderr, False)),
    (internals.speak_through, [logging.NullHandler()], None),
    (internals.put_errors_through, [str], None),
    (job_changes.changes, [1], job_changes.Changes()),
    (job_commands.quote_python, [], None),
    (job_commands.import_own_package, [SCRIPTS], None),
    (internals.meanings, [NEWER], {}),
    (internals.rule_names, [NEWER], []),
    (internals.jobs_of_targets, [NEWER, {}], []),
    (internals.runs_left_to, [NEWER, "work"], []),
    (internals.delay_ctrl_c_of_jobs, [], None),
]


@pytest.mark.parametrize(
    ("function", "arguments", "answer"), FALLBACKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_without_a_name_the_check_is_off_after_one_warning(
    function, arguments, answer, monkeypatch
):
    monkeypatch.delattr(snakemake.exceptions, "LockException")
    monkeypatch.delattr(cli, "parse_args")
    monkeypatch.delattr(SHELL, "sp")
    monkeypatch.delattr(import_module("snakemake.script"), "PythonScript")
    monkeypatch.setitem(sys.modules, EXECUTORS, None)
    monkeypatch.setitem(sys.modules, "snakemake_storage_plugin_http", None)
    monkeypatch.delattr(snakemake_interface_storage_plugins.registry, "StoragePluginRegistry")
    warnings = []
    monkeypatch.setattr(internals, "logger", SimpleNamespace(warning=warnings.append))
    assert function(*arguments) == answer
    assert function(*arguments) == answer
    (check,) = os.environ[internals.SWITCHED_OFF].splitlines()
    assert warnings == [f"This Snakemake is newer than tested; the check for {check} is off."]


def test_every_use_of_internals_has_its_test():
    modules = (internals, job_changes, job_commands)
    named = {name: value for module in modules for name, value in vars(module).items()}
    functions = {name for name, value in named.items() if hasattr(value, "__wrapped__")}
    assert {function.__name__ for function, *_ in FALLBACKS} == functions


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train={steps: 2, tta: no, rate: 1.5}"], {"steps": 2, "tta": False, "rate": 1.5}),
        (["train={steps: null, weights: }"], {"steps": None, "weights": None}),
        (["train={'steps': 2, 'name': ''}"], {"steps": 2, "name": ""}),
        (
            ['train={name: "2021", flips: [no, "no", 2021-13-45]}'],
            {"name": "2021", "flips": [False, "no", "2021-13-45"]},
        ),
        (["train={steps: 2}", "train={epochs: 3}"], {"steps": 2, "epochs": 3}),
        (["train={flips: [1, 2]}", 'train={flips: ["3"]}'], {"flips": ["3"]}),
        (["train={runs: {18: {steps: 2}}}"], {"runs": {"18": {"steps": 2}}}),
    ],
)
def test_what_an_argument_of_the_command_has_without_quotes_gets_its_type(arguments, expected):
    settings = ConfigSettings(config=cli.parse_config(arguments), config_args=arguments)
    config = {"train": {**settings.config["train"], "patch": "64"}, "seed": 1}
    workflow = SimpleNamespace(config_settings=settings)
    internals.give_types_to_arguments(workflow, config)
    assert config == {"train": {**expected, "patch": "64"}, "seed": 1}
    assert internals.config_arguments(workflow) == arguments


def test_a_program_that_calls_snakemake_gives_types_itself():
    given = {"train": {"steps": 2, "weights": None, "name": "2021"}}
    settings = ConfigSettings(config=given)
    config = {"train": dict(given["train"])}
    internals.give_types_to_arguments(SimpleNamespace(config_settings=settings), config)
    assert config == given
