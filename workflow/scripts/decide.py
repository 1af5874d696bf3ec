"""Learn on the validation images how probabilities become masks."""

from maskmake.arrays import open_labels
from maskmake.decision import stored_decision
from maskmake.files import read_csv, write_json
from maskmake.learning import learn_calibration, learn_decision
from maskmake.log import job, logger
from maskmake.predictions import RunProbabilities

with job(snakemake):
    index = read_csv(snakemake.input.index)
    labels = open_labels(snakemake.input.labels, index)
    run = RunProbabilities(snakemake.input.probabilities, index, read_csv(snakemake.input.splits))

    def cases():
        return ((run.validation(i), labels[i]) for i in run.validation_ids)

    decision = learn_decision(
        cases, snakemake.params.decide["objective"], snakemake.params.decide["method"]
    )
    logger.info(
        "threshold %.3f, smallest object %d, smallest hole %d pixels, %s %.4f",
        *(decision[key] for key in ("threshold", "min_object", "min_hole", "objective", "score")),
    )
    removed = decision["removed"]
    logger.info(
        "%s It removes %d false and %d true objects and fills %d false and %d true holes.",
        decision["clean_up_reason"],
        *(
            removed[f"{kind}_{truth}"]
            for kind in ("objects", "holes")
            for truth in ("false", "true")
        ),
    )
    logger.info("%s: %s", decision["method"], decision["reason"])
    calibration = learn_calibration(cases, stored_decision(decision))
    logger.info("temperature %.3f", calibration["temperature"])
    write_json(snakemake.output.decision, {**decision, **calibration, "images": run.validation_ids})
