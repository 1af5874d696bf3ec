"""Which jobs each target needs, for the runs a and b."""

DATA_JOBS = {"validate", "binarize", "split", "plan"}
RUN_PLANS = DATA_JOBS | {"a-plan", "b-plan"}
TRAINING = RUN_PLANS | {"a-fold0-train", "b-fold0-train"}
PREDICTION = TRAINING | {"a-fold0-predict", "b-fold0-predict"}
DECISION = PREDICTION | {"a-decide", "b-decide"}
DIAGNOSIS = {"a-diagnose", "b-diagnose"}
MASKS = DECISION | {"a-masks", "b-masks"}
SCORES = MASKS | {"a-evaluate", "b-evaluate"}
TARGETS = {
    "validate": {"validate"},
    "binarize": {"validate", "binarize"},
    "split": {"validate", "binarize", "split"},
    "plan": DATA_JOBS,
    "plan_runs": RUN_PLANS,
    "train": TRAINING,
    "predict": PREDICTION,
    "decide": DECISION,
    "diagnose": DECISION | DIAGNOSIS,
    "masks": MASKS,
    "evaluate": SCORES,
    "compare": SCORES | {"compare"},
    "report": SCORES | DIAGNOSIS | {"compare", "report"},
    "results/tiny/runs/a/decision.json": DATA_JOBS
    | {"a-plan", "a-fold0-train", "a-fold0-predict", "a-decide"},
}
