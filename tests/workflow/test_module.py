"""The workflow as a module of another one."""

import pytest
import yaml
from workspace import MODULE, ROOT, finish, planned, snakemake

COUNT = """

rule count:
    input:
        "results/tiny/data/manifest.csv",
    output:
        "count.txt",
    log:
        "results/tiny/logs/count.log",
    shell:
        "wc -l < {input} > {output}"
"""


def test_workflow_is_used_as_a_module(folder):
    snakefile = folder / "Snakefile"
    snakefile.write_text(MODULE + COUNT)
    jobs = planned(folder, "results/tiny/report.html", "--cores", "2", snakefile=snakefile)
    assert jobs >= {"validate", "a-fold0-train", "b-evaluate", "report"}
    finish(folder, "count.txt", "--cores", "2", snakefile=snakefile)
    assert (folder / "count.txt").read_text().strip() == "9"  # eight images and the header


TWO = """
module left:
    snakefile:
        "{root}/Snakefile"
    prefix:
        "left"
    config:
        config["left"]


use rule * from left as left_*


module right:
    snakefile:
        "{root}/Snakefile"
    prefix:
        "right"
    config:
        config["right"]


use rule * from right as right_*
"""


def two_modules(folder, **sections):
    """A workflow of two modules, one with the data set of the folder, one with synthetic images."""
    tiny = yaml.safe_load((folder / "config.yaml").read_text())
    made = {"name": "made", "synthesis": {"images": 8, "size": 96, "seed": 1}}
    config = {"left": tiny, "right": {**tiny, "dataset": made}, **sections}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "Snakefile").write_text(TWO.format(root=ROOT))
    return folder / "Snakefile"


def test_two_modules_work_side_by_side_each_under_its_prefix(folder):
    snakefile = two_modules(folder)
    stores = ["left/results/tiny/data/images.npy", "right/results/made/data/images.npy"]
    finish(folder, *stores, "--cores", "2", snakefile=snakefile)
    assert all((folder / store).exists() for store in stores)
    assert not (folder / "results").exists()
    assert planned(folder, *stores, snakefile=snakefile) == set()
    reports = ["left/results/tiny/report.html", "right/results/made/report.html"]
    finish(folder, *reports, "--dry-run", snakefile=snakefile)


def test_new_images_and_a_model_lie_where_the_configuration_says(folder, finished):
    tiny = yaml.safe_load((folder / "config.yaml").read_text())
    segment = {"images": "images", "model": str(finished / "results/tiny/runs/a")}
    snakefile = two_modules(folder, left={**tiny, "segment": segment})
    finish(folder, "left_segment", snakefile=snakefile)
    masks = folder / "left/results/tiny/segment/a/images"
    assert len(list(masks.glob("*.png"))) == 8
    assert (masks / "review.csv").exists()
    assert planned(folder, "left_segment", snakefile=snakefile) == set()


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        ({"train": {"epochs": 2}}, "dataset"),
        ({"data": {"images": "images"}}, "data: unknown key"),
        ({}, "dataset"),
    ],
)
def test_module_configuration_without_a_section_is_named(left, sentence, folder):
    snakefile = two_modules(folder, left=left)
    code, output = snakemake(folder, "left_train", "--dry-run", snakefile=snakefile)
    assert code != 0
    assert sentence in output, output
    assert "Traceback" not in output
