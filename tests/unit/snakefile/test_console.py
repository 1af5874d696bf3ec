"""What a person sees of a run, from the records of Snakemake."""

import errno
import io
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from maskmake.snakefile.console import Console, JobConsole, describe_results, duration, explain

FAILED = "WorkflowError:\nAt least one job did not complete successfully."


def record(message="", level=logging.INFO, **fields):
    return logging.makeLogRecord({"msg": message, "levelno": level, **fields})


class Job(SimpleNamespace):
    __hash__ = object.__hash__


class Run:
    """A run whose workflow has the rules train_fold and report and the target all.

    Its report takes the runs in ``compared``.
    """

    def __init__(self, folder, here=True, compared=()):
        rules = [
            rule("train_fold", "Trains.", wildcards=True),
            rule("report", "Writes the report."),
            rule("all", "Everything.", outputs=False),
        ]
        (folder / "report.log").write_text("The report: report.html\n")
        job = Job(
            rule=rules[1], output=["report.html"], log=[folder / "report.log"], wildcards_dict={}
        )
        target = Job(rule=rules[2], output=[])
        scored = [Job(rule=rules[0], wildcards_dict={"run": run}) for run in compared]
        compare = Job(rule=rule("compare", "Compares."))
        dependencies = {target: [job], job: [], compare: scored}
        dag = SimpleNamespace(
            targetjobs=[target], dependencies=dependencies, needrun_jobs=lambda: [*scored, compare]
        )
        workflow = SimpleNamespace(rules=rules, dag=dag, local_exec=here)
        self.folder, self.stream = folder, io.StringIO()
        self.console = Console(workflow, self.stream)

    def begin(self, number, run):
        log = self.folder / f"{run}.log"
        wildcards = {"run": run, "fold": "0"}
        self.say(
            event=LogEvent.JOB_INFO,
            rule_name="train_fold",
            jobid=number,
            log=[log],
            wildcards=wildcards,
        )
        return log

    def fail(self, number, message=None):
        fields = {"jobid": number, "log": [], "rule_msg": message}
        self.say(level=logging.ERROR, event=LogEvent.JOB_ERROR, **fields)

    def say(self, message="", **fields):
        self.console.handle(record(message, **fields))

    @property
    def lines(self):
        return self.stream.getvalue().splitlines()


def rule(name, docstring, outputs=True, wildcards=False):
    return SimpleNamespace(
        name=name, docstring=docstring, output=["x"] * outputs, has_wildcards=lambda: wildcards
    )


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_run_to_its_end(run):
    run.say("Building DAG of jobs...")
    run.say(event=LogEvent.RUN_INFO, stats={"train_fold": 1, "all": 1, "total": 2})
    run.begin(5, "unet")
    run.say(event=LogEvent.JOB_FINISHED, job_id=5)
    run.say(event=LogEvent.PROGRESS, done=2, total=2)
    run.say("Complete log(s): x.log")
    assert run.lines == [
        "1 step: train_fold",
        "[1/1] train_fold (unet, fold 0): Trains.",
        "[1/1] train_fold (unet, fold 0): done in 0 s",
        "1 step in 0 s.",
        "The report: report.html",
    ]


def test_nothing_to_do_names_the_results(run):
    run.say("Nothing to be done (all requested files are present and up to date).")
    assert run.lines[1:] == ["The report: report.html"]


def test_after_a_job_that_said_why_it_failed_nothing_follows(run):
    log = run.begin(5, "unet")
    log.write_text("fine\nerror: x.png: cannot be decoded.\n  y.png: too.\n")
    before = run.lines
    run.fail(5)
    run.say(FAILED, level=logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    assert run.lines == before


def test_what_snakemake_says_of_a_job_is_its_cause_and_no_other_follows(run):
    """Such as of a benchmark, which it writes when the script has ended."""
    run.begin(5, "unet").write_text("fine\n")
    error = {"level": logging.ERROR, "event": LogEvent.ERROR, "exception": "WorkflowError"}
    text = "WorkflowError:\nPermissionError: [Errno 13] Permission denied: 'benchmarks/a.tsv'"
    run.say(text, **error)
    run.fail(5)
    run.say(FAILED, **error)
    said = "benchmarks/a.tsv: Permission denied; free space or fix the permissions, then run again."
    assert run.lines[1:] == [said]
    run.begin(6, "other").write_text("fine\n")
    run.fail(6)
    assert "it ended without a reason" in run.lines[-1]


def test_the_cause_comes_last_where_other_jobs_went_on(run):
    log = run.begin(5, "a")
    run.begin(6, "b")
    log.write_text("error: epoch 1: the training loss is nan.\n")
    run.fail(5)
    run.say(event=LogEvent.JOB_FINISHED, job_id=6)
    run.say(FAILED, level=logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    assert run.lines[-1] == "train_fold (a, fold 0): epoch 1: the training loss is nan."


@pytest.mark.parametrize(
    ("compared", "advised"), [("abc", True), ("a", False), ("bc", False), ("", False)]
)
def test_the_end_names_the_way_to_a_report_of_the_runs_that_did_not_fail(
    tmp_path, compared, advised
):
    run = Run(tmp_path, compared=compared)
    run.begin(5, "a").write_text("error: epoch 1: the training loss is nan.\n")
    run.fail(5)
    run.say(FAILED, level=logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    advice = [
        "For a report without a, add a to compare.leave_out in the configuration and run the same "
        "command again.",
        "train_fold (a, fold 0): epoch 1: the training loss is nan.",
    ]
    assert run.lines[1:] == advice * advised


def test_on_a_cluster_the_cause_is_read_from_the_log(tmp_path):
    run = Run(tmp_path, here=False)
    run.begin(5, "a").write_text("error: no space.\n")
    run.fail(5)
    assert run.lines[-1] == "train_fold (a, fold 0): no space."


def test_a_job_that_the_cluster_refuses_is_explained_by_it(tmp_path):
    run = Run(tmp_path, here=False)
    run.begin(5, "a")
    run.fail(5, "SLURM sbatch failed. It said 'no such\npartition'.\n    sbatch call:\n   sbatch x")
    assert run.lines[-1] == (
        "train_fold (a, fold 0): SLURM sbatch failed. It said 'no such partition'."
    )


WORDS = (
    "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
SLURM = (
    "SLURM-job '77' failed, SLURM status is: '{}'. Detailed failure reason unavailable (status "
    f"command is not 'sacct').{WORDS}"
)


@pytest.mark.parametrize(
    ("log", "said", "sentence"),
    [
        (
            "",
            WORDS,
            "it ended without a reason; the log is {log}; too little memory or time is the ",
        ),
        (
            "",
            WORDS,
            "; raise mem_mb or runtime of train_fold in set-resources of the profile, and ",
        ),
        ("", SLURM.format("OUT_OF_MEMORY"), "'OUT_OF_MEMORY'; raise mem_mb of train_fold in set-"),
        (
            "",
            SLURM.format("FAILED"),
            "'FAILED'; too little memory is the most frequent cause; raise",
        ),
        ("", SLURM.format("CANCELLED"), "SLURM-job '77' failed, SLURM status is: 'CANCELLED'."),
        ("stopped", SLURM.format("TIMEOUT"), "'TIMEOUT'; raise runtime of train_fold in set-res"),
        ("stopped", WORDS, "to go on; where its time was over, raise runtime of train_fold in set"),
        ("error: no space.", SLURM.format("FAILED"), "train_fold (a, fold 0): no space."),
    ],
)
def test_a_job_that_a_cluster_ended_is_told_what_to_raise(log, said, sentence, tmp_path):
    run = Run(tmp_path, here=False)
    file = run.begin(5, "a")
    stopped = "error: train_fold was stopped; run the same command again to go on."
    file.write_text(f"epoch 1\n{stopped if log == 'stopped' else log}\n")
    run.fail(5, said)
    assert sentence.format(log=file) in run.lines[-1]
    assert "details" not in run.lines[-1]


def test_only_the_last_attempt_of_a_job_counts_at_the_end(tmp_path):
    run = Run(tmp_path, here=False, compared="ab")
    for attempt in range(3):
        run.begin(5, "a").write_text(f"error: fault {attempt}.\n")
        run.fail(5)
    run.begin(6, "b").write_text("error: of the moment.\n")
    run.fail(6)
    run.begin(6, "b")
    run.say(event=LogEvent.JOB_FINISHED, job_id=6)
    before = len(run.lines)
    run.say(FAILED, level=logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    numbers = [line.split()[0] for line in run.lines if line.startswith("[")]
    assert numbers == ["[1/1]"] * 3 + ["[2/2]"] * 3  # the last one is done
    advice, cause = run.lines[before:]
    assert advice.startswith("For a report without a, add a to compare.leave_out")
    assert cause == "train_fold (a, fold 0): fault 2."


def test_a_job_without_a_word_points_to_its_log(run):
    log = run.begin(5, "a")
    log.write_text("epoch 1\n")
    run.fail(5)
    assert f"ended without a reason; the log is {log}" in run.lines[-1]
    assert "./maskmake why" in run.lines[-1]


def test_a_job_without_a_word_on_a_full_disk_is_explained_by_it(run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    log = run.begin(5, "a")
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    run.fail(5)
    assert run.lines[-1] == (
        f"train_fold (a, fold 0): {log.parent}: No space left on device; free space or fix the "
        "permissions, then run again."
    )


def test_ctrl_c_ends_in_one_sentence(run):
    run.begin(5, "a")
    run.say("Terminating processes on user request, this might take some time.")
    run.fail(5)
    run.say(FAILED, level=logging.ERROR, event=LogEvent.ERROR, exception="WorkflowError")
    (last,) = run.lines[1:]
    assert last.startswith("Stopped; run the same command again to go on; ./maskmake why with")


def test_what_is_unknown_is_shown(run):
    run.say("Job 5 has been submitted with SLURM jobid 77.")
    run.say("a warning", level=logging.WARNING)
    assert run.lines == ["Job 5 has been submitted with SLURM jobid 77.", "a warning"]


def test_a_job_adds_only_what_its_script_could_not_say():
    stream = io.StringIO()
    job = JobConsole(stream)
    for text in ("returned non-zero exit status 1.", "died with <Signals.SIGKILL: 9>."):
        error = f"RuleException:\nCalledProcessError in file \"a.smk\", line 3:\nCommand 'x' {text}"
        fields = {"event": LogEvent.ERROR, "exception": "RuleException"}
        job.handle(record(error, level=logging.ERROR, **fields))
    assert job.level == logging.WARNING
    assert stream.getvalue() == "The process of the job was killed (SIGKILL).\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'WorkflowError in file "/a/common.smk", line 42:\ntrain.stps: unknown key.\n'
            '  File "/a/common.smk", line 51, in <module>\n',
            "train.stps: unknown key.",
        ),
        (
            "MissingRuleException:\nNo rule to produce maks (if you use input functions make sure "
            "that they don't raise unexpected exceptions).",
            "maks: no such target; did you mean masks? ./maskmake alone lists the targets.",
        ),
        (
            "OSError: [Errno 28] No space left on device: '/results/x'",
            "/results/x: No space left on device; free space or fix the permissions, then run "
            "again.",
        ),
    ],
)
def test_errors_without_their_place_in_the_code(text, sentence):
    assert explain("Error", text, ["masks", "evaluate"]) == sentence


def test_results_without_a_log_are_named_and_of_many_the_last(tmp_path):
    jobs = [("mask_run", {"run": "a"}, [str(tmp_path / "no.log")], ["a/masks"])] * 10
    lines = describe_results(jobs)
    assert lines[0] == "(and 2 before these)"
    assert lines[1:] == ["a: mask_run: a/masks"] * 8


@pytest.mark.parametrize(("s", "text"), [(7.2, "7 s"), (185, "3:05 min"), (7385, "2:03:05 h")])
def test_durations(s, text):
    assert duration(s) == text
