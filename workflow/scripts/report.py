"""Write the report page, its figures and the pictures of its viewer."""

from maskmake.report.inputs import ReportInputs, ReportOutputs
from maskmake.report.page import write_report
from maskmake.runtime.log import job, logger

# The processes that make pictures import this file again.
if __name__ == "__main__":
    with job(snakemake):
        write_report(
            ReportInputs(**dict(snakemake.input.items())),
            snakemake.params.runs,
            snakemake.params.settings,
            ReportOutputs(**dict(snakemake.output.items())),
            snakemake.threads,
            dict(snakemake.params.left_out),
        )
        logger.info("The report: %s", snakemake.output.page)
