rule predict_fold:
    """Predicts the probabilities of the validation and test images with the network of a fold."""
    input:
        model=rules.train_fold.output.model,
        training=rules.train_fold.output.training,
        images=rules.binarize.output.images,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        probabilities=f"{RESULTS}/runs/{{run}}/fold{{fold}}/probabilities.npy",
        sums=f"{RESULTS}/runs/{{run}}/fold{{fold}}/probabilities.csv",
    log:
        f"{RESULTS}/logs/{{run}}-fold{{fold}}-predict.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-fold{{fold}}-predict.tsv"
    conda:
        "../../envs/keras.yaml"
    threads: 4
    resources:
        gpu=lambda wildcards: min(1, RUNS[wildcards.run]["gpu"]),
    params:
        predict=SETTINGS["predict"],
        backend=lambda wildcards: RUNS[wildcards.run]["backend"],
        code=code("predict.py"),
    script:
        "../scripts/predict.py"
