"""Why false objects and holes are in the masks of a run: a table, numbers and a picture."""

from typing import NamedTuple

import pandas as pd

from maskmake.data.pixel_store import PixelStore
from maskmake.masks.decision import LearnedDecision, stored_decision
from maskmake.masks.fold_probabilities import RunProbabilities
from maskmake.masks.specks import diagnose, find_specks
from maskmake.report import figures
from maskmake.report.speck_figure import crop_panels, drawn_pieces, speck_figure
from maskmake.runtime.log import logger


class Diagnosis(NamedTuple):
    """The results of ``diagnose_run``.

    Attributes:
        table: ``specks.csv``, a row for each false object or hole and for the true ones that the
            figure draws, see ``specks.find_specks``.
        contents: ``specks.json``, see ``specks.diagnose``, and images, the ids of the validation
            images.
        picture, drawing: ``speck_figure.speck_figure`` as PNG file and SVG document.
    """

    table: pd.DataFrame
    contents: dict
    picture: bytes
    drawing: str


def diagnose_run(
    run: RunProbabilities, images: PixelStore, labels: PixelStore, learned: LearnedDecision
) -> Diagnosis:
    """Find the specks of a run on its validation images, and log the verdict.

    Args:
        run: its probabilities.
        images, labels: of the data set.
        learned: contents of ``decision.json``.
    """
    decision = stored_decision(learned)
    pieces = find_specks(lambda: run.validation_cases(labels), learned)
    diagnosis = diagnose(pieces, learned)
    logger.info(
        "verdict %s: %d of %d components are false; threshold %d, size %d, model_or_label %d",
        diagnosis["verdict"],
        diagnosis["false"],
        diagnosis["components"],
        *diagnosis["causes"].values(),
    )
    panels = None
    if worst := diagnosis["worst"]:
        i = worst["image"]
        panels = crop_panels(images[i], labels[i], run.validation(i), worst, decision)
    figure = speck_figure(pieces, diagnosis, decision, panels)
    return Diagnosis(
        pieces[pieces["false"] | pieces.index.isin(drawn_pieces(pieces).index)],
        {**diagnosis, "images": run.validation_ids},
        figures.png(figure),
        figures.svg(figure),
    )
