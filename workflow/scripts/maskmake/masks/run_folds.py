"""Which folds belong to a run: ``decision.json`` lists them with the sums of their files."""

from collections.abc import Sequence
from pathlib import Path

from maskmake.network.settings import FoldSums, RunFolds
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256
from maskmake.runtime.log import logger


def fold_sums(models: Sequence[str], trainings: Sequence[str]) -> list[FoldSums]:
    """What ``decision.json`` says of the folds of its run.

    Args:
        models, trainings: ``model.keras`` and ``training.json`` of each fold, in order.
    """
    return [
        {"fold": fold, "model": sha256(model), "training": sha256(training)}
        for fold, (model, training) in enumerate(zip(models, trainings, strict=True))
    ]


def check_fold_files(
    decision: str | Path,
    learned: RunFolds,
    trainings: Sequence[str | Path],
    models: Sequence[str | Path] = (),
) -> None:
    """Refuse files of folds that are not those that a decision was learned with.

    A decision of 0.1.0 does not say which they were; then nothing is refused.

    Args:
        decision: ``decision.json``, for the sentence.
        learned: its contents.
        trainings: ``training.json`` of each fold, in order.
        models: ``model.keras`` of each fold; none, if they are not used.

    Raises:
        UserError: there are more or fewer folds, or a file has other bytes.
    """
    listed = learned.get("folds")
    if listed is None:
        return
    if len(trainings) != len(listed):
        raise UserError(
            f"{decision}: lists {len(listed)} folds, but {len(trainings)} are given; expected "
            "those of one run; copy its folder again, or run decide again."
        )
    for paths, sums in (
        (trainings, [fold["training"] for fold in listed]),
        (models, [fold["model"] for fold in listed]),
    ):
        for path, expected in zip(paths, sums, strict=False):  # there may be no models
            if sha256(path) != expected:
                raise UserError(
                    f"{path}: other bytes (SHA-256) than {decision} lists for this fold; expected "
                    "the files of one run; copy its folder again, or run train and decide again."
                )


def warn_of_folds(decision: Path, learned: RunFolds, folds: Sequence[Path]) -> None:
    """Log which folders beside those of a run are left out, or that nobody knows which are its own.

    Args:
        decision: ``decision.json`` of the run; its folder is searched.
        learned: its contents.
        folds: folders that are taken.
    """
    names = {fold.name for fold in folds}
    if "folds" not in learned:
        logger.warning(
            "%s: of an earlier version, which does not list the folds of its run; taken: %s.",
            decision,
            ", ".join(sorted(names)),
        )
    others = sorted({path.name for path in decision.parent.glob("fold*")} - names)
    if others:
        logger.warning(
            "%s: left out, since not a fold of the run: %s.", decision.parent, ", ".join(others)
        )
