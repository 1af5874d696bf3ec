"""How much memory a process can still take."""

from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS, CGROUP_FOLDER = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# The entries of memory.stat, in versions 2 and 1 of control groups, that count pages of files. When
# memory is asked for, Linux drops these. Data sets are read through them, so they may fill all of a
# job's memory.
FILE_PAGES = {"active_file", "inactive_file"}, {"total_active_file", "total_inactive_file"}


def available_memory() -> int:
    """Bytes that a process can still take, within the limits of its cluster job or container."""
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    return min([free, *_left_in_cgroups()])


def _left_in_cgroups() -> Iterator[int]:
    """Bytes left of each limit of this process: that of its control group and of each parent."""
    for line in CGROUPS.read_text().splitlines() if CGROUPS.exists() else []:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, names, pages = CGROUP_FOLDER, ("memory.max", "memory.current"), FILE_PAGES[0]
        elif "memory" in controllers.split(","):
            root, pages = CGROUP_FOLDER / "memory", FILE_PAGES[1]
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = root / group.lstrip("/")
        for level in [folder, *folder.parents]:
            limit, used, statistics = (level / name for name in (*names, "memory.stat"))
            # A group without a limit says "max", and the topmost one has no such file.
            if limit.exists() and (most := limit.read_text().strip()).isdigit():
                counts = dict(line.split() for line in statistics.read_text().splitlines())
                dropped = sum(int(counts.get(name, 0)) for name in pages)
                yield max(0, int(most) - int(used.read_text()) + dropped)
