rule evaluate_run:
    """Scores the masks of the test images against their labels."""
    input:
        masks=ancient(f"{RESULTS}/runs/{{run}}/masks"),
        table=rules.mask_run.output.table,
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        sums=folds_of_run(rules.predict_fold.output.sums),
        decision=rules.decide_run.output.decision,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        manifest=rules.validate.output.manifest,  # for the groups
        audit=ancient(rules.validate.output.json),  # for the sum of the manifest alone
        trainings=folds_of_run(rules.train_fold.output.training),
        benchmarks=folds_of_run(f"{RESULTS}/benchmarks/{{run}}-fold{{fold}}-predict.tsv"),
    output:
        metrics=f"{RESULTS}/runs/{{run}}/metrics.json",
        per_image=f"{RESULTS}/runs/{{run}}/per_image.csv",
        resamples=f"{RESULTS}/runs/{{run}}/resamples.csv",
        reliability=f"{RESULTS}/runs/{{run}}/reliability.csv",
        networks=f"{RESULTS}/runs/{{run}}/networks.csv",
    log:
        f"{RESULTS}/logs/{{run}}-evaluate.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-evaluate.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        code=code("evaluate.py"),
    script:
        "../scripts/evaluate.py"


rule compare:
    """Puts the scores of all runs into one table and compares each two recipes."""
    input:
        metrics=for_every_run(rules.evaluate_run.output.metrics, REPORTED),
        per_image=for_every_run(rules.evaluate_run.output.per_image, REPORTED),
        resamples=for_every_run(rules.evaluate_run.output.resamples, REPORTED),
        networks=for_every_run(rules.evaluate_run.output.networks, REPORTED),
    output:
        table=f"{RESULTS}/comparison.csv",
        pairs=f"{RESULTS}/comparison_pairs.csv",
    log:
        f"{RESULTS}/logs/compare.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        runs=REPORTED,
        recipes=recipes_of({run: RUNS[run] for run in REPORTED}),
        compare=SETTINGS["compare"],
        code=code("compare.py"),
    script:
        "../scripts/compare.py"
