"""The settings whose change plans a run again: not those that are set to what the plan chose.

Snakemake compares the params of a job with those of its last run, so a setting that a user writes
down as the plan has it would plan, and train, again. A record beside the plan says what it was made
of. It is no output, which Snakemake would delete before the job.
"""

from pathlib import Path
from typing import Any, TypedDict

from maskmake.network.settings import AUTO
from maskmake.runtime.documents import read_document
from maskmake.runtime.errors import UserError


class PlanRecord(TypedDict):
    """What the plan of a run was made of; ``plan_run.py`` writes it as JSON, after the plan.

    Attributes:
        params: from ``planning_params``, which Snakemake has recorded.
        section: settings by which the same plan is made, with ``auto`` wherever that gives the
            value that was set; others than ``params`` there, and where some were set to what the
            plan had and it was made again for another reason.
        values: of the planned settings.
    """

    params: dict[str, Any]
    section: dict[str, Any]
    values: dict[str, Any]


def planning_params(section: dict, record: str | Path) -> dict:
    """The params by which a job is compared that plans a run.

    Args:
        section: the settings that are planned, and those that the rules of the plan read.
        record: path of a ``PlanRecord``, if there is one.

    Returns:
        Those of the record where its plan is the plan of these settings too, else ``section``; so
        a record that is missing, damaged or of another version plans again.
    """
    known = _read(Path(record))
    if known is None or known["section"].keys() != section.keys():
        return section
    # A setting may have any value of the plan: a rule gives the others the same values for it,
    # whether it was chosen or set.
    differ = [
        name
        for name, value in section.items()
        if value != known["section"][name]
        and (value == AUTO or name not in known["values"] or value != known["values"][name])
    ]
    if not differ:
        return known["params"]
    if section == known["params"]:
        return section | {"planned_with": {name: known["section"][name] for name in differ}}
    return section


def _read(path: Path) -> PlanRecord | None:
    try:
        found: PlanRecord = read_document(path, PlanRecord)
    except (FileNotFoundError, UserError):
        return None
    return found
