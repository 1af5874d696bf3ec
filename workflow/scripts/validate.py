"""Audit every image and label of the data set."""

import json
from pathlib import Path

from maskmake.data.audit import validate_dataset
from maskmake.runtime.files import write_json
from maskmake.runtime.log import job

with job(snakemake):
    validate_dataset(
        snakemake.params.audit,
        snakemake.params.contents,
        # Beside the log, because Snakemake deletes the outputs of a job that fails.
        Path(snakemake.log[0]).with_suffix(".html"),
        snakemake.output.json,
        snakemake.output.page,
        snakemake.output.manifest,
    )
    # For the next start, which refuses other data under the same name.
    write_json(snakemake.params.source_record, json.loads(snakemake.params.source))
