"""Write the report page and its figures."""

from maskmake.report.inputs import ReportInputs, ReportOutputs
from maskmake.report.page import write_report
from maskmake.runtime.log import job, logger

with job(snakemake):
    write_report(
        ReportInputs(**dict(snakemake.input.items())),
        snakemake.params.runs,
        snakemake.params.settings,
        ReportOutputs(**dict(snakemake.output.items())),
    )
    logger.info("The report: %s", snakemake.output.page)
