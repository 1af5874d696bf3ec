rule predict_fold:
    input:
        model=rules.train_fold.output.model,
        images=rules.binarize.output.images,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        probabilities=f"{RESULTS}/runs/{{run}}/fold{{fold}}/probabilities.npy",
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


rule decide_run:
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        decision=f"{RESULTS}/runs/{{run}}/decision.json",
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
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        decision=rules.decide_run.output.decision,
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        table=f"{RESULTS}/runs/{{run}}/specks.csv",
        diagnosis=f"{RESULTS}/runs/{{run}}/specks.json",
        picture=report(
            f"{RESULTS}/runs/{{run}}/specks.png",
            caption="../report/specks.rst",
            category="Specks",
            labels={"run": "{run}"},
        ),
    log:
        f"{RESULTS}/logs/{{run}}-diagnose.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{run}}-diagnose.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        code=code("diagnose.py"),
    script:
        "../scripts/diagnose.py"


rule mask_run:
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
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


rule segment_shard:
    input:
        models=expand("{fold}/model.keras", fold=MODEL_FOLDS),
        trainings=expand("{fold}/training.json", fold=MODEL_FOLDS),
        decision=f"{MODEL}/decision.json",
        images=stored_images_of_shard,
    output:
        # The masks themselves are not declared: Snakemake would delete those that are done when
        # one image of the shard cannot be read.
        table=f"{MASKS}/.shards/{{shard}}.csv",
    log:
        f"{RESULTS}/logs/segment-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment-{{shard}}.tsv"
    conda:
        "../../envs/keras.yaml"
    threads: 4
    resources:
        gpu=min(1, RUNS[SEGMENT_RUN]["gpu"]),
    params:
        data=version_of_shard,
        contents=contents_of_shard,
        images=images_of_shard,
        predict=SETTINGS["predict"],
        code=code("segment.py"),
    script:
        "../scripts/segment.py"


rule review_masks:
    input:
        tables=segment_shards,
        decision=f"{MODEL}/decision.json",
    output:
        review=f"{MASKS}/review.csv",
    log:
        f"{RESULTS}/logs/segment-review.log",
    localrule: True
    conda:
        "../../envs/images.yaml"
    params:
        code=code("review.py"),
    script:
        "../scripts/review.py"
