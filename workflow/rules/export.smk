rule export_run:
    """Packs a run: its network as ONNX and Keras, its decision, and what describes them."""
    input:
        run=rules.decide_run.output.run,
        decision=rules.decide_run.output.decision,
        models=folds_of_run(rules.train_fold.output.model),
        trainings=folds_of_run(rules.train_fold.output.training),
        metrics=rules.evaluate_run.output.metrics,
        plan=rules.plan.output.plan,
        images=rules.binarize.output.images,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        package=directory(f"{RESULTS}/runs/{{run}}/package"),
    log:
        f"{RESULTS}/logs/{{run}}-export.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-export.tsv"
    conda:
        "../../envs/keras.yaml"
    threads: 4
    params:
        export=SETTINGS["export"],
        predict=SETTINGS["predict"],
        name=lambda wildcards: f"{SETTINGS['dataset']['name']} {wildcards.run}",
        code=code("export.py"),
    script:
        "../scripts/export.py"
