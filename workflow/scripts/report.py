"""Write the report page and its figures."""

from pathlib import Path

from maskmake.log import job
from maskmake.report import write_report

with job(snakemake):
    write_report(
        Path(snakemake.output.page).parent,
        snakemake.params.runs,
        snakemake.params.settings,
        Path(snakemake.output.page),
        Path(snakemake.output.data).parent,
    )
