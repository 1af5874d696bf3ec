rule decide_run:
    """Learns threshold, clean-up and temperature of a run on its validation images."""
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        sums=folds_of_run(rules.predict_fold.output.sums),
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        manifest=rules.validate.output.manifest,  # for the groups
        audit=ancient(rules.validate.output.json),  # for the sum of the manifest alone
        plan=rules.plan.output.plan,
        # What it says of the training has made the models; the rest follows from the index.
        run_plan=ancient(f"{RESULTS}/runs/{{run}}/plan.json"),
        # For their sums in run.json alone.
        models=folds_of_run(rules.train_fold.output.model),
        trainings=folds_of_run(rules.train_fold.output.training),
    output:
        decision=f"{RESULTS}/runs/{{run}}/decision.json",
        run=f"{RESULTS}/runs/{{run}}/run.json",
    log:
        f"{RESULTS}/logs/{{run}}-decide.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-decide.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        decide=SETTINGS["decide"],
        code=code("decide.py"),
    script:
        "../scripts/decide.py"


rule diagnose_run:
    """Finds why false objects and holes are in the masks of the validation images."""
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        sums=folds_of_run(rules.predict_fold.output.sums),
        decision=rules.decide_run.output.decision,
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        table=f"{RESULTS}/runs/{{run}}/specks.csv",
        diagnosis=f"{RESULTS}/runs/{{run}}/specks.json",
        drawing=f"{RESULTS}/runs/{{run}}/specks.svg",
        picture=report(
            f"{RESULTS}/runs/{{run}}/specks.png",
            caption="../report/specks.rst",
            category="2 Figures",
            labels={"figure": "5 Specks", "run": "{run}"},
        ),
    log:
        f"{RESULTS}/logs/{{run}}-diagnose.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-diagnose.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        # For the caption alone: what depends on files of the job is no reason to run again.
        decision=lambda wildcards, input: used_decision(input.decision),
        free_thresholds=lambda wildcards, output: free_thresholds(output.diagnosis),
        code=code("diagnose.py"),
    script:
        "../scripts/diagnose.py"


rule mask_run:
    """Turns the probabilities of the test images into masks and pictures."""
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        sums=folds_of_run(rules.predict_fold.output.sums),
        decision=rules.decide_run.output.decision,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        # A folder is as old as its files, so what reads masks goes by their bytes in this table.
        table=f"{RESULTS}/runs/{{run}}/masks.csv",
        masks=directory(f"{RESULTS}/runs/{{run}}/masks"),
        probability=directory(f"{RESULTS}/runs/{{run}}/probability"),
        regions=directory(f"{RESULTS}/runs/{{run}}/regions"),
    log:
        f"{RESULTS}/logs/{{run}}-masks.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-masks.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        code=code("masks.py"),
    script:
        "../scripts/masks.py"
