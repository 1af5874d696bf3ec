"""Audit every image and label of the data set."""

import json

from maskmake.data.audit import validate_dataset
from maskmake.runtime.files import write_json
from maskmake.runtime.log import job

# The processes that read files import this module again.
if __name__ == "__main__":
    with job(snakemake):
        validate_dataset(
            {
                **snakemake.params.audit,
                "processes": snakemake.threads,
                "trainings": snakemake.params.trainings,
            },
            snakemake.params.contents,
            snakemake.output.json,
            # No output, because Snakemake deletes the outputs of a job that fails.
            snakemake.params.page,
            snakemake.output.manifest,
        )
        # For the next start, which refuses other data under the same name.
        write_json(snakemake.params.source_record, json.loads(snakemake.params.source))
