SEGMENT = SETTINGS["segment"]
# A model folder given by its path needs no training data; otherwise a run of this data set is used.
SEGMENT_RUN = SEGMENT["run"] or next(iter(config.get("runs") or RUNS))
MODEL = SEGMENT["model"] or f"{RESULTS}/runs/{SEGMENT_RUN}"
MASKS = f"{RESULTS}/segment/{Path(MODEL).name}"
MODEL_FOLDS = (
    sorted(map(str, Path(MODEL).glob("fold*")))
    if SEGMENT["model"]
    else [f"{MODEL}/fold{fold}" for fold in FOLDS]
)
SHARDS = list_shards(list_images(SEGMENT["images"] or ""), SEGMENT["shard_size"])


def segment_shards(wildcards):
    """The list of finished masks of each shard; an error where there is nothing to segment."""
    if not SHARDS:
        raise WorkflowError(
            f"segment.images: found no image in {SEGMENT['images']!r}; expected a folder of PNG, "
            "TIFF, JPEG or BMP files; set segment.images."
        )
    if not MODEL_FOLDS:
        raise WorkflowError(
            f"segment.model: found no folder fold0 in {MODEL!r}; expected the folder of a trained "
            "run; set segment.model."
        )
    return expand(rules.segment_shard.output.table, shard=range(len(SHARDS)))


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
        gpu=1,
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


rule mask_run:
    input:
        probabilities=folds_of_run(rules.predict_fold.output.probabilities),
        decision=rules.decide_run.output.decision,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        masks=directory(f"{RESULTS}/runs/{{run}}/masks"),
        probability=directory(f"{RESULTS}/runs/{{run}}/probability"),
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
        images=lambda wildcards: SHARDS[int(wildcards.shard)],
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
        gpu=1,
    params:
        predict=SETTINGS["predict"],
        masks=MASKS,
        code=code("segment.py"),
    script:
        "../scripts/segment.py"
