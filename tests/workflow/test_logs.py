"""What a run says on the terminal and in its logs comes from maskmake, not from a library.

The jobs are those of a user here, with all imports. The run is one on JAX, since other tests have
none; a prediction speaks for TensorFlow.
"""

import re

import pytest
from workspace import CONFIG, configure, copy_workspace, finish

from maskmake.runtime.files import read_json

# The ways in which libraries speak: TensorFlow, XLA and absl by a letter and a date, Python's
# warnings by their class, and all by their names.
FORMS = re.compile(
    r"^[IWEF]\d{4} \d\d:"
    r"|^\d{4}-\d\d-\d\d \d\d:\d\d"
    r"|^(INFO|WARNING|ERROR|DEBUG)\b"
    r"|\b[A-Z]\w*(Warning|Error|Exception)\b"
    r"|^Traceback|^  File |site-packages"
)
NAMES = re.compile(
    r"absl|onednn|cuda|cudnn|cublas|cuinit|tensorrt|\bxla\b|tensorflow|keras|\bjax\b|torch"
    r"|grpc|pluggable|numpy|matplotlib|libvips",
    re.IGNORECASE,
)
# Lines of maskmake that name a library.
OURS = {"loading TensorFlow", "loading JAX"}


def of_libraries(text: str) -> list[str]:
    lines = (line.rpartition("\r")[2].rstrip() for line in text.splitlines())
    return [
        line for line in lines if line not in OURS and (FORMS.search(line) or NAMES.search(line))
    ]


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    """The folder of a run on JAX; ``terminal.txt``."""
    folder = copy_workspace(dataset, tmp_path_factory.mktemp("run") / "work")
    configure(
        folder,
        train={**CONFIG["train"], "backend": "jax", "deep_supervision": True},
        runs={"a": {}},
    )
    # A few steps are no reason to optimise the code they run.
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    output = finish(folder, environment={"XLA_FLAGS": quick}, fork_jobs=False)
    (folder / "terminal.txt").write_text(output)
    return folder


def test_a_run_on_jax_is_trained_and_scored(run):
    training = read_json(run / "results/tiny/runs/a/fold0/training.json")
    assert training["settings"]["backend"] == "jax"
    assert training["settings"]["deep_supervision"] is True
    assert "jax" in training["versions"]
    assert (run / "results/tiny/report.html").exists()


def test_no_line_of_tensorflow_reaches_terminal_or_log(finished_copy):
    probabilities = "results/tiny/runs/a/fold0/probabilities.npy"
    (finished_copy / probabilities).unlink()
    assert of_libraries(finish(finished_copy, probabilities, fork_jobs=False)) == []
    logs = list((finished_copy / "results/tiny/logs").glob("*-fold0-*.log"))
    assert len(logs) == 4
    assert [line for log in logs for line in of_libraries(log.read_text())] == []


def test_no_line_of_a_library_reaches_a_log(run):
    logs = sorted((run / "results/tiny/logs").glob("*.log"))
    assert len(logs) > 10
    assert {log.name: of_libraries(log.read_text()) for log in logs} == {
        log.name: [] for log in logs
    }


def test_each_log_says_something(run):
    logs = (run / "results/tiny/logs").glob("*.log")
    assert [log.name for log in logs if not log.read_text().strip()] == []


def test_no_line_of_a_library_reaches_the_terminal(run):
    said = (run / "terminal.txt").read_text()
    assert "[1/" in said  # the lines of the run
    assert of_libraries(said) == []


@pytest.mark.parametrize(
    "line",
    [
        "I0000 00:00:1764226.2 123 generator_dataset_op.cc:213] Memory patch applied",
        "2026-11-27 06:38:02.181 oneDNN custom operations are on.",
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "E0000 00:00:1764226.2 9 cuda_executor.cc:1228] failed call to cuInit: UNKNOWN ERROR (303)",
        "/x/keras/src/trainers/epoch_iterator.py:151: UserWarning: Your input ran out of data",
        "a.py:3: FutureWarning: this will change",
        "a.py:3: DeprecationWarning: invalid escape",
        "An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed.",
        "Traceback (most recent call last):",
    ],
)
def test_lines_of_libraries_are_known(line):
    assert of_libraries(f"epoch 1/2: loss 0.5\n{line}\n") == [line]
