rule predict_fold:
    """Predicts the probabilities of the validation and test images with the network of a fold."""
    input:
        model=rules.train_fold.output.model,
        training=rules.train_fold.output.training,
        images=rules.binarize.output.images,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        # What it says of the training has made the model; the rest follows from the index.
        run_plan=ancient(f"{RESULTS}/runs/{{run}}/plan.json"),
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
        gpu=lambda wildcards: min(1, gpus_asked_for(RUNS[wildcards.run])),
    params:
        predict=SETTINGS["predict"],
        backend=lambda wildcards: RUNS[wildcards.run]["backend"],
        # What depends on threads is no reason to run again.
        gpu=lambda wildcards, threads: RUNS[wildcards.run]["gpu"],
        code=code("predict.py"),
    script:
        "../scripts/predict.py"
