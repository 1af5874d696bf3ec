"""The workflow as a module of another one."""

from workspace import ROOT, finish, planned

SNAKEFILE = f"""
configfile: "config.yaml"


module maskmake:
    snakefile:
        "{ROOT / "Snakefile"}"
    config:
        config


use rule * from maskmake as segmentation_*


rule count:
    input:
        "results/tiny/data/manifest.csv",
    output:
        "count.txt",
    log:
        "results/tiny/logs/count.log",
    shell:
        "wc -l < {{input}} > {{output}}"
"""


def test_workflow_is_used_as_a_module(folder):
    snakefile = folder / "Snakefile"
    snakefile.write_text(SNAKEFILE)
    jobs = planned(folder, "results/tiny/report.html", "--cores", "2", snakefile=snakefile)
    assert jobs >= {"validate", "a-fold0-train", "b-evaluate", "report"}
    finish(folder, "count.txt", "--cores", "2", snakefile=snakefile)
    assert (folder / "count.txt").read_text().strip() == "9"  # eight images and the header
