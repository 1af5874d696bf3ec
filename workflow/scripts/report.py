"""Write the report page and its figures."""

from maskmake.log import job
from maskmake.page import write_report
from maskmake.report_inputs import ReportInputs, ReportOutputs

with job(snakemake):
    write_report(
        ReportInputs(**dict(snakemake.input.items())),
        snakemake.params.runs,
        snakemake.params.settings,
        ReportOutputs(**dict(snakemake.output.items())),
    )
