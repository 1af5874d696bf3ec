rule report:
    """Writes the report page and its figures from the results of all runs."""
    input:
        rules.validate.output.json,
        rules.validate.output.manifest,
        rules.binarize.output.images,
        rules.binarize.output.labels,
        rules.binarize.output.index,
        rules.split.output.splits,
        rules.plan.output.plan,
        rules.compare.output,
        of_every_fold(rules.train_fold.output.history),
        of_every_fold(rules.train_fold.output.training),
        of_every_fold(rules.train_fold.output.augmented),
        of_every_run(rules.decide_run.output.decision),
        of_every_run(rules.diagnose_run.output),
        of_every_run(rules.mask_run.output.table),
        ancient(of_every_run(f"{RESULTS}/runs/{{run}}/masks")),
        of_every_run(rules.evaluate_run.output),
    output:
        page=report(f"{RESULTS}/report.html", caption="../report/page.rst", category="Report"),
        data=report(f"{RESULTS}/report/data.png", caption="../report/data.rst", category="Figures"),
        augmented=report(
            f"{RESULTS}/report/augmented.png",
            caption="../report/augmented.rst",
            category="Figures",
        ),
        training=report(
            f"{RESULTS}/report/training.svg",
            caption="../report/training.rst",
            category="Figures",
        ),
        threshold=report(
            f"{RESULTS}/report/threshold.svg",
            caption="../report/threshold.rst",
            category="Figures",
        ),
        scores=report(
            f"{RESULTS}/report/scores.svg", caption="../report/scores.rst", category="Figures"
        ),
        calibration=report(
            f"{RESULTS}/report/calibration.svg",
            caption="../report/calibration.rst",
            category="Figures",
        ),
        examples=report(
            f"{RESULTS}/report/examples.png",
            caption="../report/examples.rst",
            category="Figures",
        ),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        runs=list(RUNS),
        settings={key: SETTINGS[key] for key in ("dataset", "split", "predict", "decide", "runs")},
        code=code("report.py"),
    script:
        "../scripts/report.py"
