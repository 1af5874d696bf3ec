"""Audit every image and label of the data set."""

from pathlib import Path

from maskmake.audit import audit_dataset, fault_error, write_audit, write_page
from maskmake.log import job, logger

with job(snakemake):
    audit = audit_dataset(**snakemake.params.audit)
    for warning in audit.warnings:
        logger.warning("%s", warning)
    if audit.faults:
        # Beside the log, because Snakemake deletes the outputs of a job that fails.
        page = Path(snakemake.log[0]).with_suffix(".html")
        write_page(audit, page)
        raise fault_error(audit.faults, page)
    write_audit(audit, snakemake.output.json, snakemake.output.page, snakemake.output.manifest)
