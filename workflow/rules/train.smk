rule fetch_weights:
    """Fetches the ImageNet weights of an encoder."""
    output:
        weights="results/weights/{encoder}.h5",
    log:
        "results/weights/logs/{encoder}-weights.log",
    conda:
        "../../envs/keras.yaml"
    params:
        code=code("fetch_weights.py"),
    script:
        "../scripts/fetch_weights.py"


# On a machine as the training has, since its memory and its GPU have a say.
rule plan_run:
    """Gives each setting of a run that is auto its value, and says why."""
    input:
        index=rules.binarize.output.index,
        fingerprint=rules.plan.output.plan,
    output:
        plan=f"{RESULTS}/runs/{{run}}/plan.json",
    log:
        f"{RESULTS}/logs/{{run}}-plan.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-plan.tsv"
    conda:
        "../../envs/images.yaml"
    resources:
        gpu=lambda wildcards: gpus_asked_for(RUNS[wildcards.run]),
    params:
        train=params_of_plan,
        # What depends on threads is no reason to run again, and neither should be a GPU.
        settings=lambda wildcards, threads: planning_section(wildcards),
        record=lambda wildcards, threads: record_of_plan(wildcards),
        gpu=lambda wildcards, threads: RUNS[wildcards.run]["gpu"],
        code=code("plan_run.py"),
    script:
        "../scripts/plan_run.py"


rule train_fold:
    """Trains the network of a fold of a run on its training images."""
    input:
        unpack(weights_of_encoder),
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
        plan=rules.plan.output.plan,
        run_plan=rules.plan_run.output.plan,
    output:
        # The folder tensorboard beside them is not declared: it is there only where it is asked for.
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
        gpu=lambda wildcards: gpus_asked_for(RUNS[wildcards.run]),
    params:
        train=training_section,
        decide=deciding_section,
        # What depends on threads is no reason to run again, and neither should be event files nor
        # a GPU.
        tensorboard=lambda wildcards, threads: RUNS[wildcards.run]["tensorboard"],
        gpu=lambda wildcards, threads: RUNS[wildcards.run]["gpu"],
        code=code("train.py"),
    script:
        "../scripts/train.py"
