"""What a run says on the terminal and in its logs comes from maskmake, not from a library."""

import re

import pytest
from workspace import configure, copy_workspace, finish

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
OURS = {"loading TensorFlow"}


def of_libraries(text: str) -> list[str]:
    lines = (line.rpartition("\r")[2].rstrip() for line in text.splitlines())
    return [
        line for line in lines if line not in OURS and (FORMS.search(line) or NAMES.search(line))
    ]


@pytest.fixture(scope="module")
def run(dataset, tmp_path_factory):
    """The folder of a run whose jobs were those of a user, with all imports; ``terminal.txt``."""
    folder = copy_workspace(dataset, tmp_path_factory.mktemp("run") / "work")
    configure(folder, runs={"a": {}})
    (folder / "terminal.txt").write_text(finish(folder, fork_jobs=False))
    return folder


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
