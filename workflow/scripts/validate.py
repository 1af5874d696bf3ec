"""Audit every image and label of the data set."""

from maskmake.audit import audit_dataset, fault_error, write_audit
from maskmake.log import job, logger

with job(snakemake):
    audit = audit_dataset(
        snakemake.params.images,
        snakemake.params.labels,
        snakemake.params.label_threshold,
        snakemake.params.label_tolerance,
        snakemake.params.empty_labels,
        snakemake.params.groups,
    )
    for warning in audit.warnings:
        logger.warning("%s", warning)
    if audit.faults:
        raise fault_error(audit.faults, snakemake.log[0])
    write_audit(audit, snakemake.output.json, snakemake.output.page, snakemake.output.manifest)
