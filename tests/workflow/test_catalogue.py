"""What the catalogue of Snakemake workflows asks of a repository."""

import yaml
from workspace import ROOT, planned


def test_standard_snakefile_plans_the_same(folder):
    jobs = planned(folder)
    assert "report" in jobs
    assert planned(folder, snakefile=ROOT / "workflow/Snakefile") == jobs


def test_description_is_one_that_the_catalogue_reads():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"] == {"conda": True}
    assert usage["report"] is True
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert (ROOT / "config/README.md").read_text().startswith("# Configuration")
