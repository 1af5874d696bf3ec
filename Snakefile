from snakemake.utils import min_version

min_version("9.27")

# Without this condition a file given with --configfile would be laid over the demo's settings.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/storage.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/decide.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/export.smk"


report: "workflow/report/workflow.rst"


rule all:
    """The report, and the masks of new images where segment.images is set."""
    default_target: True
    input:
        # With the pictures that they show, so that these come back where they were deleted.
        [] if DATASET is None else rules.report.output,
        rules.review_page.output if SETTINGS["segment"]["images"] else [],
        rules.check_segment.output.done if SETTINGS["segment"]["images"] else [],


rule plan_runs:
    """The settings of each run, each with the reason for its value."""
    input:
        for_every_run(rules.plan_run.output.plan),


rule train:
    """The network of each fold of each run."""
    input:
        for_every_fold(rules.train_fold.output.model),


rule predict:
    """The probabilities of each fold of each run."""
    input:
        for_every_fold(rules.predict_fold.output.probabilities),


rule decide:
    """The decision of each run: how its probabilities become masks."""
    input:
        for_every_run(rules.decide_run.output.decision),


rule diagnose:
    """Why each run leaves false objects and holes in its masks."""
    input:
        for_every_run(rules.diagnose_run.output),


rule masks:
    """The masks of the test images of each run."""
    input:
        for_every_run(rules.mask_run.output.masks),


rule evaluate:
    """The scores of each run on the test images."""
    input:
        for_every_run(rules.evaluate_run.output.metrics),


rule segment:
    """Masks of the images in segment.images, and the list of those to look at first."""
    input:
        rules.review_masks.output.review,
        rules.review_page.output,
        rules.check_segment.output.done,


rule export:
    """The package of each run, with which it predicts anywhere."""
    input:
        for_every_run(rules.export_run.output.package),
