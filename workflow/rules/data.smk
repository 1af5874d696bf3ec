if DATASET and DATASET.origin == "synthesis":

    rule synthesize:
        """Makes synthetic images and labels from a number, a size, a kind and a seed."""
        output:
            images=DATASET.image_files,
            labels=DATASET.label_files,
        log:
            f"{RESULTS}/logs/synthesize.log",
        benchmark:
            f"{RESULTS}/benchmarks/synthesize.tsv"
        conda:
            "../../envs/images.yaml"
        params:
            synthesis=SETTINGS["dataset"]["synthesis"],
            code=code("synthesize.py"),
        script:
            "../scripts/synthesize.py"


if DATASET and DATASET.origin == "download":

    rule download:
        """Fetches the images and labels of a public data set from their address."""
        output:
            images=DATASET.image_files,
            labels=DATASET.label_files,
        log:
            f"{RESULTS}/logs/download.log",
        benchmark:
            f"{RESULTS}/benchmarks/download.tsv"
        conda:
            "../../envs/images.yaml"
        params:
            download=SETTINGS["dataset"]["download"],
            # Files that changed at their address have new sums in a list of the same name.
            checksums=version_of_checksums(SETTINGS["dataset"]["download"]["checksums"]),
            code=code("download.py"),
        script:
            "../scripts/download.py"


if DATASET and DATASET.origin == "storage":

    rule retrieve:
        """Puts the images and labels of a storage into two folders."""
        input:
            images=stored_data("images"),
            labels=stored_data("labels"),
        output:
            images=directory(DATASET.images),
            labels=directory(DATASET.labels),
        log:
            f"{RESULTS}/logs/retrieve.log",
        benchmark:
            f"{RESULTS}/benchmarks/retrieve.tsv"
        conda:
            "../../envs/images.yaml"
        params:
            # No time shows that something was deleted from a folder.
            sizes=stored_sizes,
            contents=stored_contents,
            code=code("retrieve.py"),
        script:
            "../scripts/retrieve.py"


rule validate:
    """Audits every image and label: all faults at once, a page, and the manifest."""
    input:
        [] if DATA_VERSION else DATASET_FILES,
    output:
        json=f"{RESULTS}/data/audit.json",
        manifest=f"{RESULTS}/data/manifest.csv",
    log:
        f"{RESULTS}/logs/validate.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate.tsv"
    conda:
        "../../envs/images.yaml"
    threads: 4
    params:
        page=f"{PREFIX}{RESULTS}/data/audit.html",
        data=DATA_VERSION,
        contents=DATASET_RECORD,
        source=json.dumps(SOURCE),
        source_record=SOURCE_RECORD,
        audit={
            "images": f"{MADE_PREFIX}{DATASET.images}" if DATASET else None,
            "labels": f"{MADE_PREFIX}{DATASET.labels}" if DATASET else None,
            "table": DATASET.table if DATASET else None,
            "foreground": SETTINGS["dataset"]["foreground"],
            "ignore": SETTINGS["dataset"]["ignore"],
            "threshold": SETTINGS["dataset"]["label_threshold"],
            "tolerance": SETTINGS["dataset"]["label_tolerance"],
            "empty_labels": SETTINGS["dataset"]["empty_labels"],
            "groups": SETTINGS["dataset"]["groups"],
            "channels": SETTINGS["dataset"]["channels"],
            "value_range": SETTINGS["dataset"]["range"],
            "image_normalization": all(run["normalization"] == "image" for run in RUNS.values()),
        },
        # What depends on threads is no reason to run again; of a later run, its plan checks this.
        trainings=lambda wildcards, threads: list(RUNS.values()),
        code=code("validate.py"),
    script:
        "../scripts/validate.py"


rule binarize:
    """Writes the pixel store from the files in the manifest."""
    input:
        manifest=rules.validate.output.manifest,
        audit=ancient(rules.validate.output.json),  # for the sum of the manifest alone
    output:
        images=f"{RESULTS}/data/images.npy",
        labels=f"{RESULTS}/data/labels.npy",
        index=f"{RESULTS}/data/index.csv",
        thumbnails=f"{RESULTS}/data/thumbnails.npy",
    log:
        f"{RESULTS}/logs/binarize.log",
    benchmark:
        f"{RESULTS}/benchmarks/binarize.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        dataset={key: SETTINGS["dataset"][key] for key in ("channels", "range")},
        code=code("binarize.py"),
    script:
        "../scripts/binarize.py"


rule split:
    """Gives each image in the manifest its role and its fold."""
    input:
        manifest=rules.validate.output.manifest,
        audit=ancient(rules.validate.output.json),  # for the sum of the manifest alone
        index=rules.binarize.output.index,
        thumbnails=rules.binarize.output.thumbnails,
    output:
        splits=f"{RESULTS}/data/splits.csv",
        record=f"{RESULTS}/data/split.json",
    log:
        f"{RESULTS}/logs/split.log",
    benchmark:
        f"{RESULTS}/benchmarks/split.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        split=SETTINGS["split"],
        code=code("split.py"),
    script:
        "../scripts/split.py"


rule plan:
    """Writes the fingerprint of the training images: channels, range, sizes."""
    input:
        images=rules.binarize.output.images,
        labels=rules.binarize.output.labels,
        index=rules.binarize.output.index,
        splits=rules.split.output.splits,
    output:
        plan=f"{RESULTS}/data/plan.json",
    log:
        f"{RESULTS}/logs/plan.log",
    benchmark:
        f"{RESULTS}/benchmarks/plan.tsv"
    conda:
        "../../envs/images.yaml"
    params:
        source={
            "selection": SETTINGS["dataset"]["channels"],
            "range": SETTINGS["dataset"]["range"],
        },
        code=code("plan.py"),
    script:
        "../scripts/plan.py"
