rule segment_shard:
    """Writes the masks of a part of the new images with the networks of all folds."""
    input:
        models=expand("{fold}/model.keras", fold=MODEL_FOLDS),
        trainings=expand("{fold}/training.json", fold=MODEL_FOLDS),
        decision=f"{MODEL}/decision.json",
        run=MODEL_RUN,
        images=stored_images_of_shard,
    output:
        # The masks themselves are not declared: Snakemake would delete those that are done before
        # an image of the shard that could not be used is tried again.
        table=f"{MASKS}/.shards/{{shard}}.csv",
        refused=f"{MASKS}/.shards/{{shard}}.refused.json",
    log:
        f"{RESULTS}/logs/segment-{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/segment-{{shard}}.tsv"
    conda:
        "../../envs/keras.yaml"
    threads: 4
    resources:
        gpu=min(1, gpus_asked_for(RUNS[SEGMENT_RUN])),
    params:
        data=version_of_shard,
        contents=contents_of_shard,
        attempt=attempt_of_shard,
        source=json.dumps(MASKS_SOURCE),
        source_record=MASKS_RECORD,
        images=images_of_shard,
        ids=ids_of_shard,
        taken=taken_from_shard,
        predict=PREDICT_OF_MODEL,
        # What depends on threads is no reason to run again.
        gpu=lambda wildcards, threads: RUNS[SEGMENT_RUN]["gpu"],
        code=code("segment.py"),
    script:
        "../scripts/segment.py"


rule review_masks:
    """Lists the masks of all new images, those to look at first on top."""
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


rule review_page:
    """Writes the page of the masks of new images, with a picture of each."""
    input:
        review=rules.review_masks.output.review,
        refused=refused_of_shards,
        decision=f"{MODEL}/decision.json",
        training=f"{MODEL_FOLDS[0]}/training.json",
        images=stored_new_images,
    output:
        page=f"{MASKS}/review.html",
        pictures=directory(f"{MASKS}/review"),
    log:
        f"{RESULTS}/logs/segment-page.log",
    conda:
        "../../envs/images.yaml"
    params:
        names=names_of_new_images,
        code=code("review_page.py"),
    script:
        "../scripts/review_page.py"


rule check_segment:
    """Names the new images that could not be used, and fails if there are any."""
    input:
        refused=refused_of_shards,
        review=rules.review_masks.output.review,
        page=rules.review_page.output.page,
    output:
        done=f"{MASKS}/.shards/done.json",
    log:
        f"{RESULTS}/logs/segment-check.log",
    # Another attempt of this job alone would find the same.
    retries: 0
    localrule: True
    conda:
        "../../envs/images.yaml"
    params:
        attempts=MASKS_ATTEMPTS,
        code=code("check_segment.py"),
    script:
        "../scripts/check_segment.py"
