rule train_fold:
    input:
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        plan=rules.plan.output.plan,
    output:
        model=f"{RESULTS}/runs/{{run}}/fold{{fold}}/model.keras",
        history=f"{RESULTS}/runs/{{run}}/fold{{fold}}/history.csv",
        training=f"{RESULTS}/runs/{{run}}/fold{{fold}}/training.json",
        augmented=f"{RESULTS}/runs/{{run}}/fold{{fold}}/augmented.npy",
    log:
        f"{RESULTS}/logs/{{run}}-fold{{fold}}-train.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-fold{{fold}}-train.tsv"
    conda:
        "../../envs/keras.yaml"
    threads: 4
    resources:
        gpu=1,
    params:
        train=lambda wildcards: RUNS[wildcards.run],
        code=code("train.py"),
    script:
        "../scripts/train.py"
