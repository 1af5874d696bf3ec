"""Uses of Snakemake's internals, one function for each.

More are in ``job_changes``, ``job_commands`` and ``snakemake_locks``.

The Snakefile asks Snakemake for more than it documents. A newer version may have renamed what is
asked for; then the function says so in one warning, and its answer is one with which the workflow
goes on without the check that needed it. Written for Snakemake 9.27. No step imports these modules:
what they do changes no result.
"""

import contextlib
import functools
import io
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TextIO

import snakemake.exceptions
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

# What a newer Snakemake answers to a name that it does not have.
UNKNOWN_NAME = (AttributeError, ImportError, KeyError)
# Environment variable: the checks that are off. Jobs inherit it and do not repeat the warning.
SWITCHED_OFF = "MASKMAKE_CHECKS_OFF"
# The first line of each command, which Snakemake prints before it has a logger.
PROFILE_LINE = re.compile(r"Using .*profile.* for setting default command line arguments\.\n")
# The list of all options, which it prints before the one that is wrong.
USAGE = re.compile(r"^usage: .*^\S+: error: ", re.DOTALL | re.MULTILINE)
# What is no text although it was written as one.
TYPES_OF_YAML = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")}


def without_it(check: str, answer):
    """Let a function give ``answer``, after one warning, where Snakemake lacks what it needs."""

    def decorate(function):
        @functools.wraps(function)
        def softly(*arguments):
            try:
                return function(*arguments)
            except UNKNOWN_NAME:
                _warn_once(check)
                return answer

        return softly

    return decorate


def _warn_once(check: str) -> None:
    known = os.environ.get(SWITCHED_OFF, "").splitlines()
    if check not in known:
        os.environ[SWITCHED_OFF] = "\n".join([*known, check])
        logger.warning(f"This Snakemake is newer than tested; the check for {check} is off.")


# --- the process --------------------------------------------------------------------------------


@without_it("another Snakemake at work on these results", False)
def is_main_process(workflow) -> bool:
    """Whether this is the Snakemake that a user started, and not that of a job."""
    return workflow.is_main_process


@without_it("a Snakemake that was killed", True)
def is_job_of_cluster(workflow) -> bool:
    """Whether this is the Snakemake of a job on a cluster, which outlives the one of the user."""
    return workflow.remote_exec


@without_it("a disk that is full, before the first job starts", True)
def is_dry_run(workflow) -> bool:
    """Whether the user asked for a dry run."""
    return workflow.output_settings.dryrun


@without_it("a prefix of a module", "")
def module_prefix(workflow) -> str:
    """What Snakemake puts before each relative path of a rule: a folder and a slash, or nothing."""
    return workflow.modifier.path_modifier.prefix or ""


@without_it("the files of a configuration", [])
def configuration_files(workflow) -> list[str]:
    """The files that the configuration was read from, in this order; none for a module."""
    return [] if is_module(workflow) else list(map(str, workflow.configfiles))


@without_it("the files given with --configfile", [])
def named_files(workflow) -> list[str]:
    """Those of ``configuration_files`` that the command names; none if it names none."""
    return configuration_files(workflow) if workflow.overwrite_configfiles else []


@without_it("keys that stand twice in --config", [])
def config_arguments(workflow) -> list[str]:
    """What follows ``--config`` in the command, each ``key=value``."""
    return list(workflow.config_settings.config_args or [])


@without_it("numbers inside --config", None)
def give_types_to_arguments(workflow, config: dict) -> None:
    """Read the numbers inside mappings and lists of ``--config``, which Snakemake leaves as text.

    What the command has in quotes stays text.

    Args:
        workflow: of Snakemake.
        config: the configuration with these settings in it; it is changed.
    """
    given = workflow.config_settings.config
    for argument in config_arguments(workflow):
        key, _, text = argument.partition("=")
        if isinstance(given.get(key), dict | list) and key in config:
            config[key] = _typed(config[key], yaml.compose(text, Loader=yaml.SafeLoader))


def _typed(value, node: yaml.Node | None):
    """A setting in which each text that is a number, a truth value or null in YAML becomes that."""
    if isinstance(value, dict) and isinstance(node, yaml.MappingNode):
        inner = {key.value: each for key, each in node.value}
        return {key: _typed(each, inner.get(key)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(node, yaml.SequenceNode):
        same = len(value) == len(node.value)  # not those of a later argument
        return [_typed(*pair) for pair in zip(value, node.value, strict=True)] if same else value
    if isinstance(node, yaml.ScalarNode) and node.tag in TYPES_OF_YAML and value == node.value:
        return yaml.safe_load(value)
    return value


@without_it("a workflow that uses this one as a module", True)
def is_module(workflow) -> bool:
    """Whether another workflow uses this one as a module."""
    return len(workflow.modifier_stack) > 1


# --- what is said -------------------------------------------------------------------------------


@without_it("the line that names the profile", None)
def shorten_start() -> None:
    """Let the Snakemake of this process neither name its profile nor list all options for one."""
    from snakemake import cli

    former = cli.parse_args

    def parse_args(arguments):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                return former(arguments)
        finally:
            told = PROFILE_LINE.sub("", said.getvalue())
            sys.stderr.write(USAGE.sub("snakemake: ", told))

    cli.parse_args = parse_args


@without_it("an output of Snakemake that someone asked for", False)
def wants_short_output(workflow) -> bool:
    """Whether no option asks for Snakemake's own lines, or for fewer of them."""
    settings = workflow.output_settings
    asked = settings.verbose or settings.debug_dag or settings.printshellcmds
    return not asked and (not settings.quiet or not is_main_process(workflow))


@without_it("colours of the terminal", (sys.stderr, False))
def terminal(workflow) -> tuple[TextIO, bool]:
    """Where Snakemake writes its lines, and whether in colours."""
    handler = _stream_handler()
    return handler.stream, not handler.nocolor


@without_it("short lines on the terminal", None)
def speak_through(handler: logging.Handler) -> None:
    """Let a handler say what Snakemake has to say on the terminal; its log file has all still."""
    former = _stream_handler()
    logger.removeHandler(former)
    logger.addHandler(handler)


@without_it("errors without their place in the code", None)
def put_errors_through(explain: Callable[[str, str], str]) -> None:
    """Let errors on the terminal be what ``explain`` makes of their class and text."""

    class Explained(logging.Formatter):
        def format(self, record):
            text = former.format(record)
            is_error = getattr(record, "event", None) == LogEvent.ERROR
            return explain(record.exception, text) if is_error else text

    handler = _stream_handler()
    former = handler.formatter
    handler.setFormatter(Explained())


def _stream_handler():
    """The handler that writes to the terminal; a ``KeyError`` where there is none."""
    return {handler.name: handler for handler in logger.handlers}["DefaultStreamHandler"]


@without_it("what each rule does", {})
def meanings(workflow) -> dict[str, str]:
    """The docstring of each rule that has outputs, by its name."""
    return {rule.name: (rule.docstring or "").strip() for rule in workflow.rules if rule.output}


@without_it("a target that is misspelt", [])
def rule_names(workflow) -> list[str]:
    """The names of all rules without wildcards, which can be targets."""
    return [rule.name for rule in workflow.rules if not rule.has_wildcards()]


@without_it("what came out, at the end", [])
def jobs_of_targets(workflow, before: dict[str, str]) -> list[tuple]:
    """Rule, wildcards, logs and outputs of each job that makes what was asked for.

    Args:
        before: for the name of a rule that of the rule whose jobs are listed before it.
    """
    dag = workflow.dag
    wanted: list = []
    for target in dag.targetjobs:
        wanted += [target] if target.output else dag.dependencies[target]
    listed: dict = {}
    for job in wanted:
        first = before.get(job.rule.name)
        needed = [each for each in dag.dependencies[job] if each.rule.name == first]
        listed |= dict.fromkeys([*needed, job])
    return [
        (job.rule.name, job.wildcards_dict, list(map(str, job.log)), list(map(str, job.output)))
        for job in listed
    ]


@without_it("runs whose results are compared", [])
def runs_left_to(workflow, rule: str) -> list[str]:
    """The runs whose results a rule takes; none where none of its jobs is left to do."""
    dag = workflow.dag
    left = [job for job in dag.needrun_jobs() if job.rule.name == rule]
    needed = [each for job in left for each in dag.dependencies[job]]
    runs = (each.wildcards_dict.get("run") for each in needed)
    return list(dict.fromkeys(filter(None, runs)))


# --- the start ----------------------------------------------------------------------------------


@without_it("what must not start", None)
def check_before_jobs(workflow, check: Callable[[], None]) -> None:
    """Call ``check`` before the first job, beside the checks of other modules.

    The directive ``onstart`` counts in the main Snakefile alone, not where this is a module.
    """
    former = workflow._onstart

    def start(log):
        former(log)
        check()

    workflow._onstart = start


@without_it("whose the lock of a folder is", None)
def explain_lock(explanation: Callable[[], str]) -> None:
    """Let the error of a locked folder say ``explanation`` in place of Snakemake's own text."""

    class LockException(snakemake.exceptions.LockException):
        def __init__(self):
            WorkflowError.__init__(self, explanation())

    snakemake.exceptions.LockException = LockException


# --- jobs and their resources -------------------------------------------------------------------


@without_it("the limit of a resource", math.inf)
def resource_limit(workflow, name: str) -> float | None:
    """The limit of ``--resources`` for all jobs together; ``None`` if none was given."""
    limits = workflow.global_resources
    return limits[name].value if name in limits else None


@without_it("jobs that ask for a GPU", [])
def planned_jobs(workflow) -> list:
    """The jobs that this run has to do."""
    return list(workflow.dag.needrun_jobs())


@without_it("where jobs run", None)
def runs_on_this_machine(workflow) -> bool | None:
    """Whether jobs run here and not on a cluster; ``None`` if that cannot be seen."""
    return workflow.local_exec


@without_it("jobs that are stopped while they start", None)
def delay_ctrl_c_of_jobs() -> None:
    """Let Ctrl-C wait until the script of a job can answer it, which ``runtime.log.job`` does.

    Before that a script imports for seconds, and Python would write a traceback of these imports.
    """
    # The module, not its class of that name.
    shell: Any = import_module("snakemake.shell")
    shell.sp = _StartsDeaf(shell.sp)


class _StartsDeaf:
    """The module ``subprocess``, but with Ctrl-C blocked in each process when it starts."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name: str):
        return getattr(self._module, name)

    def Popen(self, *arguments, **options):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._module.Popen(*arguments, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- storage ------------------------------------------------------------------------------------


@without_it("a missing storage plugin", True)
def is_storage_address(address: str) -> bool:
    """Whether an installed storage plugin reads an address."""
    from snakemake_interface_storage_plugins.registry import StoragePluginRegistry

    plugins = StoragePluginRegistry().plugins.values()
    return any(plugin.storage_provider.is_valid_query(address) for plugin in plugins)


@without_it("servers that do not answer", None)
def limit_requests() -> None:
    """Let the plugin for HTTP ask with time limits and without showing keys."""
    import snakemake_storage_plugin_http

    from maskmake.snakefile.http_storage import StorageObject

    snakemake_storage_plugin_http.StorageObject = StorageObject


@without_it("a missing object in a storage", None)
def storage_object(file):
    """The object of the storage plugin behind an input; ``None`` if that cannot be seen."""
    return file.flags["storage_object"]


@without_it("results in a storage", None)
def path_in_storage(workflow, output) -> str | None:
    """Path of an output below the prefix of a default storage; ``None`` where there is none."""
    stored = getattr(output, "flags", {}).get("storage_object")
    if stored is None:
        return None
    prefix = workflow.storage_settings.default_storage_prefix or ""
    return stored.query.removeprefix(f"{prefix.rstrip('/')}/")
