# Stages that run once for the data set, the one that makes its files, if any, among them.
DATA_STAGES = ["validate", "binarize", "split", "plan", "compare"]
if DATASET and DATASET.origin != "folders":
    DATA_STAGES += [
        {"synthesis": "synthesize", "download": "download", "storage": "retrieve"}[DATASET.origin]
    ]


rule report:
    """Writes the report page and its figures from the results of all runs."""
    input:
        audit=rules.validate.output.json,
        manifest=rules.validate.output.manifest,
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        split=rules.split.output.record,
        comparison=rules.compare.output.table,
        pairs=rules.compare.output.pairs,
        plans=for_every_run(rules.plan_run.output.plan, REPORTED),
        history=for_every_fold(rules.train_fold.output.history, REPORTED),
        training=for_every_fold(rules.train_fold.output.training, REPORTED),
        augmented=for_every_run(f"{RESULTS}/runs/{{run}}/fold0/augmented.npy", REPORTED),
        decision=for_every_run(rules.decide_run.output.decision, REPORTED),
        folds=for_every_run(rules.decide_run.output.run, REPORTED),
        diagnosis=for_every_run(rules.diagnose_run.output.diagnosis, REPORTED),
        specks=for_every_run(rules.diagnose_run.output.picture, REPORTED),
        speck_drawings=for_every_run(rules.diagnose_run.output.drawing, REPORTED),
        speck_tables=for_every_run(rules.diagnose_run.output.table, REPORTED),
        metrics=for_every_run(rules.evaluate_run.output.metrics, REPORTED),
        per_image=for_every_run(rules.evaluate_run.output.per_image, REPORTED),
        reliability=for_every_run(rules.evaluate_run.output.reliability, REPORTED),
        # A folder is as old as its files, so these go by the bytes of the scores and of the masks.
        masks=ancient(for_every_run(f"{RESULTS}/runs/{{run}}/masks", REPORTED)),
        probability=ancient(for_every_run(f"{RESULTS}/runs/{{run}}/probability", REPORTED)),
        regions=ancient(for_every_run(f"{RESULTS}/runs/{{run}}/regions", REPORTED)),
        # That a step took another time is no reason to write the report again.
        benchmarks=ancient(
            [
                *expand(f"{RESULTS}/benchmarks/{{stage}}.tsv", stage=DATA_STAGES),
                *for_every_fold(
                    f"{RESULTS}/benchmarks/{{run}}-fold{{fold}}-predict.tsv", REPORTED
                ),
                *expand(
                    f"{RESULTS}/benchmarks/{{run}}-{{stage}}.tsv",
                    run=REPORTED,
                    stage=["decide", "diagnose", "masks", "evaluate"],
                ),
            ]
        ),
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="1 Report",
            labels={"page": "Report of the data set"},
        ),
        images=directory(f"{RESULTS}/report/images"),
        data=report(
            f"{RESULTS}/report/data.png",
            caption="../report/data.rst",
            category="2 Figures",
            labels={"figure": "1 Images and labels", "run": "all"},
        ),
        augmented=report(
            f"{RESULTS}/report/augmented.png",
            caption="../report/augmented.rst",
            category="2 Figures",
            labels={"figure": "8 Augmented patches", "run": "all"},
        ),
        training=report(
            f"{RESULTS}/report/training.svg",
            caption="../report/training.rst",
            category="2 Figures",
            labels={"figure": "7 Training", "run": "all"},
        ),
        threshold=report(
            f"{RESULTS}/report/threshold.svg",
            caption="../report/threshold.rst",
            category="2 Figures",
            labels={"figure": "4 Threshold", "run": "all"},
        ),
        scores=report(
            f"{RESULTS}/report/scores.svg",
            caption="../report/scores.rst",
            category="2 Figures",
            labels={"figure": "3 Scores of each test image", "run": "all"},
        ),
        calibration=report(
            f"{RESULTS}/report/calibration.svg",
            caption="../report/calibration.rst",
            category="2 Figures",
            labels={"figure": "6 Calibration", "run": "all"},
        ),
        examples=report(
            f"{RESULTS}/report/examples.png",
            caption="../report/examples.rst",
            category="2 Figures",
            labels={"figure": "2 Best and worst test images", "run": "all"},
        ),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/images.yaml"
    threads: 4
    params:
        runs=REPORTED,
        left_out=left_out_runs,
        settings={
            key: SETTINGS[key]
            for key in ("dataset", "split", "predict", "decide", "compare", "runs")
        },
        # For the captions alone: what depends on inputs is no reason to run again.
        used=lambda wildcards, input: used_settings(
            SETTINGS, REPORTED, input.plans, input.decision, input.split
        ),
        code=code("report.py"),
    script:
        "../scripts/report.py"
