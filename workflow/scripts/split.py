"""Give every image its role and its fold."""

from maskmake.data.auto_split import split_dataset
from maskmake.data.tables import check_ids, read_index, read_manifest
from maskmake.data.thumbnails import read_thumbnails
from maskmake.runtime.files import write_csv, write_json
from maskmake.runtime.log import job, logger

with job(snakemake):
    manifest = read_manifest(snakemake.input.manifest, snakemake.input.audit)
    index = read_index(snakemake.input.index)
    ids = manifest["id"].tolist()
    check_ids(snakemake.input.index, index, ids, "manifest.csv", "binarize")
    thumbnails = read_thumbnails(snakemake.input.thumbnails, len(index))
    table, record = split_dataset(manifest, index, thumbnails, snakemake.params.split)
    for warning in record["warnings"]:
        logger.warning("%s", warning)
    logger.info("%s", record["reason"])
    logger.info("%s", ", ".join(f"{n} {role}" for role, n in table["role"].value_counts().items()))
    write_csv(snakemake.output.splits, table)
    write_json(snakemake.output.record, record)
