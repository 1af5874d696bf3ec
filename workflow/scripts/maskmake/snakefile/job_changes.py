"""What has changed since a job last ended, beside what Snakemake says of it; see ``internals``.

Snakemake stops at the first kind of reason: where an input is newer or an output is missing, it
compares no setting.
"""

from typing import NamedTuple

from maskmake.snakefile.internals import without_it


class Changes(NamedTuple):
    """What has changed since a job last ended.

    Attributes:
        interrupted: whether it was under way as it ended; Snakemake says that it is forced.
        params: what Snakemake says of changed params, or an empty text.
        new_inputs: files that it did not have as inputs.
        former_inputs: files that are no inputs any more.
    """

    interrupted: bool = False
    params: str = ""
    new_inputs: tuple[str, ...] = ()
    former_inputs: tuple[str, ...] = ()


_STARTED: list = []


def remember(workflow) -> None:
    """Keep the workflow of this process for ``changes``; no record of a job names it."""
    _STARTED[:] = [workflow]


@without_it("all that has changed for a job", Changes())
def changes(job_id: int) -> Changes:
    """What has changed since a job last ended; nothing for one without a record."""
    (workflow,) = _STARTED
    job = next(job for job in workflow.dag.jobs if workflow.dag.jobid(job) == job_id)
    persistence = workflow.persistence
    keys = [persistence._get_key(file) for file in job.output]
    params = persistence.params_changed(job)
    now = persistence._input(job)
    before = next(filter(None, map(persistence.input, job.output)), now)
    return Changes(
        bool(persistence._filter_incomplete_keys(keys)),
        str(params) if params else "",
        tuple(sorted({str(file) for file in now} - {str(file) for file in before})),
        tuple(sorted({str(file) for file in before} - {str(file) for file in now})),
    )
