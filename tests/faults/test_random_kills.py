"""The whole workflow, killed at random moments: it always goes on to the same results."""

import contextlib
import os
import random
import re
import shutil
import signal
import time
from collections import Counter

import psutil
import pytest
from faults import Background, final_results
from workspace import CONFIG, configure, copy_workspace, digests, finish, half_written, planned

from maskmake.data.synthesis import synthesize
from maskmake.runtime.files import write_png

TARGETS = ("report", "segment")
KILLS = 20


def set_up(dataset, folder):
    """A folder with one run of two epochs and two images to segment."""
    copy_workspace(dataset, folder)
    configure(
        folder,
        train={**CONFIG["train"], "epochs": 2},
        segment={"images": "new"},
        runs={"a": {}},
    )
    for i in range(2):
        write_png(folder / f"new/x{i}.png", synthesize(20 + i, 96, 1)[0])
    return folder


def kill(snakemake, victim):
    """Kill Snakemake, one of its jobs, or all; say what was at work."""
    jobs = psutil.Process(snakemake.pid).children(recursive=True)
    with contextlib.suppress(psutil.NoSuchProcess):
        scripts = " ".join(argument for job in jobs for argument in job.cmdline())
        names = re.findall(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py", scripts)
    victim = victim if jobs else "both"
    if victim == "job":
        jobs[0].kill()
    elif victim == "snakemake":
        snakemake.kill()
    else:
        os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.wait()
    return f"{victim}, at work: {', '.join(names) or 'no job'}"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_kills(dataset, tmp_path):
    start = time.monotonic()
    quiet = set_up(dataset, tmp_path / "quiet")
    finish(quiet, *TARGETS)
    seconds = time.monotonic() - start
    expected = everything(quiet)
    draw, kills, chains = random.Random(1), 0, 0
    folder, outputs = set_up(dataset, tmp_path / "work"), []
    while kills < KILLS:
        run = Background(folder, *TARGETS)
        moment = draw.uniform(0, seconds / 2)  # each workflow is killed several times on its way
        victim = draw.choice(["both", "snakemake", "job"])
        deadline = time.monotonic() + moment
        while run.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if run.process.poll() is None:
            killed = kill(run.process, victim)
            outputs.append(run.output)
            kills += 1
            print(f"kill {kills}: {killed}, {moment:.1f} of {seconds:.1f} s", flush=True)
            continue
        assert run.process.returncode == 0, run.output
        chains += 1
        assert_same(folder, expected, [*outputs, run.output])
        shutil.rmtree(folder)
        set_up(dataset, folder)
        outputs = []
    outputs.append(finish(folder, *TARGETS))
    assert_same(folder, expected, outputs)
    print(f"{kills} kills in {chains + 1} workflows")


def everything(folder):
    """The results, the masks of new images and the figures; the page is of these and of times."""
    pictures = digests(folder / "results/tiny", "report/*", "segment/a/new/*.png")
    assert len(pictures) == 9
    return final_results(folder) | pictures


def assert_same(folder, expected, outputs):
    """The results are those of a quiet run, no finished work was done again, nothing is left."""
    finished = Counter(
        re.findall(r"^\[\d+/\d+\] (\w+).*: done in", "\n".join(outputs), re.MULTILINE)
    )
    assert len(finished) > 12 and set(finished.values()) == {1}, finished
    assert planned(folder, *TARGETS) == set()
    assert everything(folder) == expected
    assert (folder / "results/tiny/report.html").exists()
    assert half_written(folder) == []
    assert not list(folder.rglob(".training-*"))
