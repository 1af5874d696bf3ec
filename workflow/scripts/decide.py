"""Learn on the validation images how probabilities become masks."""

from maskmake.data.fingerprint import read_plan
from maskmake.data.pixel_store import open_labels
from maskmake.data.tables import groups_of, read_index, read_manifest, read_splits
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.learning import decide_run
from maskmake.masks.run_folds import list_folds
from maskmake.plan.run_plan import planned_value, read_run_plan
from maskmake.runtime.files import write_json
from maskmake.runtime.log import job

with job(snakemake):
    index = read_index(snakemake.input.index)
    splits = read_splits(snakemake.input.splits, index)
    manifest = read_manifest(snakemake.input.manifest, snakemake.input.audit)
    settings = snakemake.params.decide
    plan = read_run_plan(snakemake.input.run_plan, ["decide.sizes"])
    sizes = planned_value(plan, "decide.sizes", settings["sizes"])
    decision = decide_run(
        RunProbabilities(snakemake.input.probabilities, snakemake.input.sums, index, splits),
        open_labels(snakemake.input.labels, index),
        groups_of(manifest),
        read_plan(snakemake.input.plan, index),
        **{**settings, "sizes": sizes},
    )
    write_json(snakemake.output.decision, decision)
    write_json(snakemake.output.run, list_folds(snakemake.input.models, snakemake.input.trainings))
