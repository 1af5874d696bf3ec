"""Audit every image and label of the data set."""

from pathlib import Path

from maskmake.audit import audit_dataset, fault_error, write_audit, write_page
from maskmake.contents import look_at, read_record, write_record
from maskmake.folders import list_dataset
from maskmake.log import job, logger

with job(snakemake):
    record, folders = snakemake.params.contents, snakemake.params.audit
    files = [*list_dataset(folders["images"]), *list_dataset(folders["labels"])]
    contents = look_at(map(str, files), read_record(record))
    audit = audit_dataset(**snakemake.params.audit)
    for warning in audit.warnings:
        logger.warning("%s", warning)
    if audit.faults:
        # Beside the log, because Snakemake deletes the outputs of a job that fails.
        page = Path(snakemake.log[0]).with_suffix(".html")
        write_page(audit, page)
        raise fault_error(audit.faults, page)
    write_audit(audit, snakemake.output.json, snakemake.output.page, snakemake.output.manifest)
    manifest = audit.manifest
    for kind in ("image", "label"):
        for file, sha256 in zip(manifest[kind], manifest[f"sha256_{kind}"], strict=True):
            contents[file] = contents[file]._replace(sha256=sha256)
    write_record(record, contents)
