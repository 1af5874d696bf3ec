"""Which folds belong to a run: ``run.json`` lists them with the sums of their files.

Beside ``decision.json``, which stays the same to the last byte when a training is repeated.
"""

from collections.abc import Sequence
from pathlib import Path

from maskmake.network.run_file import RunFolds, read_folds
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import sha256
from maskmake.runtime.log import logger


def list_folds(models: Sequence[str], trainings: Sequence[str]) -> RunFolds:
    """The contents of ``run.json``.

    Args:
        models, trainings: ``model.keras`` and ``training.json`` of each fold, in order.
    """
    files = enumerate(zip(models, trainings, strict=True))
    return {
        "folds": [
            {"fold": fold, "model": sha256(model), "training": sha256(training)}
            for fold, (model, training) in files
        ]
    }


def check_fold_files(
    path: str | Path, trainings: Sequence[str | Path], models: Sequence[str | Path] = ()
) -> None:
    """Refuse files of folds that are not those of a run.

    Args:
        path: ``run.json``.
        trainings: ``training.json`` of each fold, in order.
        models: ``model.keras`` of each fold; none, if they are not used.

    Raises:
        UserError: ``run.json`` is damaged, there are more or fewer folds, or a file has other
            bytes.
    """
    listed = read_folds(path)
    if len(trainings) != len(listed):
        raise UserError(
            f"{path}: lists {len(listed)} folds, but {len(trainings)} are given; expected those of "
            "one run; copy its folder again, or add -R decide_run to the command once."
        )
    files = [*zip(trainings, [fold["training"] for fold in listed], strict=True)]
    files += zip(models, [fold["model"] for fold in listed], strict=False)  # there may be none
    for file, expected in files:
        if sha256(file) != expected:
            raise UserError(
                f"{file}: other bytes (SHA-256) than {path} lists; expected the files of one run; "
                "copy its folder again, or train again."
            )


def warn_of_folds(run: Path, folds: Sequence[Path]) -> None:
    """Log which folders beside the folds are left out, or that nothing says which are the run's.

    Args:
        run: folder of the run.
        folds: those of its folders that are taken.
    """
    names = {fold.name for fold in folds}
    if not (run / "run.json").is_file():
        logger.warning(
            "%s: of an earlier version, without run.json that lists its folds; taken: %s.",
            run,
            ", ".join(sorted(names)),
        )
    others = sorted({path.name for path in run.glob("fold*")} - names)
    if others:
        logger.warning("%s: left out, since not a fold of the run: %s.", run, ", ".join(others))
