"""The report of a data set: one self-contained page, and its figures as files.

Everything shown is read from the files of the earlier stages; nothing is computed again, and only
the images that are shown are read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from maskmake import figures
from maskmake.calibration_words import calibration_sentences
from maskmake.files import atomic, read_csv, read_json, write_text
from maskmake.gallery import augmented_panels, example_panels, gallery_panels, select_examples
from maskmake.glossary import CAUSES, DASH, OBJECTIVES, counted, duration, number, percent
from maskmake.images import read_pixels
from maskmake.intervals import FEWEST_IMAGES
from maskmake.notes import notes, result_sentence
from maskmake.results import Run, read_data, read_run
from maskmake.tables import (
    data_facts,
    flattened,
    headline_scores,
    role_table,
    score_table,
    setting_text,
    settings_table,
    stage_table,
    versions,
)
from maskmake.verdicts import difference_tables, verdict_sentences

TEMPLATES = Path(__file__).parent / "templates"


def write_report(
    results: Path,
    runs: list[str],
    settings: dict,
    report_path: Path,
    figures_folder: Path,
) -> None:
    """Write the page and its figures.

    Args:
        results: folder ``results/<dataset>`` with the files of all earlier stages.
        runs: names of the runs.
        settings: resolved configuration: ``dataset``, ``split``, ``train``, ``predict``,
            ``decide`` and, for each run, its complete training settings under ``runs``.
        report_path: output, one HTML file without external resources.
        figures_folder: output, ``data.png``, ``augmented.png``, ``training.svg``,
            ``threshold.svg``, ``scores.svg``, ``calibration.svg`` and ``examples.png``.

    Raises:
        UserError: a mask or probability picture cannot be decoded.
    """
    results, figures_folder = Path(results), Path(figures_folder)
    images, labels, table = read_data(results)
    comparison = pd.read_csv(results / "comparison.csv", dtype={"run": str}).set_index("run")
    pairs = read_csv(results / "comparison_pairs.csv")
    finished = {run: read_run(results, run) for run in comparison.index if run in runs}
    best = next(iter(finished.values()))

    gallery = gallery_panels(images, labels, table)
    augmented = augmented_panels(results / "runs" / best.name / "fold0/augmented.npy")
    examples = [
        example_panels(results, images, labels, best.name, verdict, scores)
        for verdict, scores in select_examples(best.per_image)
    ]
    _write_figures(figures_folder, finished, gallery, augmented, examples)
    page = _render(
        name=settings["dataset"]["name"],
        best=best,
        sentence=result_sentence(best, table),
        tiles=headline_scores(best),
        notes=notes(finished, table, examples),
        facts=data_facts(table),
        roles=role_table(table),
        gallery=gallery,
        augmented=augmented,
        runs=[_run_section(run) for run in finished.values()],
        specks=_specks(results, best),
        losses_differ=_losses_differ(settings["runs"]),
        scores=score_table(comparison.loc[list(finished)]),
        verdicts=verdict_sentences(pairs),
        differences=difference_tables(pairs, best.name),
        few_images=best.metrics["images"] < FEWEST_IMAGES,
        scores_figure=_scores_figure(finished),
        examples=examples,
        warnings=read_json(results / "data/audit.json")["warnings"],
        run_settings=settings_table({run: settings["runs"][run] for run in finished}),
        shared_settings=flattened(
            {key: settings[key] for key in ("dataset", "split", "predict", "decide")}
        ),
        stages=stage_table(results / "benchmarks", list(finished)),
        versions=versions(finished.values()),
        devices=sorted(
            {training["device"] for run in finished.values() for training in run.trainings}
        ),
    )
    write_text(report_path, page)


def _render(**context) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=number,
        percent=percent,
        duration=duration,
        counted=counted,
        setting=setting_text,
    )
    return environment.get_template("report.html.j2").render(
        **context,
        missed_colour="rgb({}, {}, {})".format(*figures.MISSED),
        false_colour="rgb({}, {}, {})".format(*figures.FALSE),
        dash=DASH,
    )


def _write_figures(
    folder: Path,
    runs: Mapping[str, Run],
    gallery: list[dict],
    augmented: list[dict],
    examples: list[dict],
) -> None:
    write_text(folder / "training.svg", figures.svg(figures.training_figure(_losses(runs))))
    decisions = {name: run.decision for name, run in runs.items()}
    write_text(folder / "threshold.svg", figures.svg(figures.threshold_figure(decisions)))
    per_image = {name: run.per_image for name, run in runs.items()}
    write_text(folder / "scores.svg", figures.svg(figures.scores_figure(per_image)))
    reliabilities = {name: run.reliability for name, run in runs.items()}
    calibration = figures.reliability_figure(reliabilities)
    write_text(folder / "calibration.svg", figures.svg(calibration))
    for name, panels in (("data", gallery), ("augmented", augmented)):
        shown = [(panel["picture"], panel["title"]) for panel in panels]
        rows = [shown[start : start + 3] for start in range(0, len(shown), 3)]
        _write_png(folder / f"{name}.png", rows)
    rows = []
    for example in examples:
        # The id once, above the first title: it may be longer than a picture is wide.
        ids = [f"{example['id']}\n", *[""] * (len(example["panels"]) - 1)]
        titled = zip(ids, example["panels"], strict=True)
        rows.append([(panel["picture"], above + panel["title"]) for above, panel in titled])
    _write_png(folder / "examples.png", rows)


def _write_png(path: Path, rows: list[list[tuple[np.ndarray, str]]]) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(figures.png(figures.picture_figure(rows)))


def _losses(runs: Mapping[str, Run]) -> dict[str, list[tuple[pd.DataFrame, int]]]:
    return {
        name: [
            (history, training["best_epoch"])
            for history, training in zip(run.histories, run.trainings, strict=True)
        ]
        for name, run in runs.items()
    }


def _run_section(run: Run) -> dict:
    """Figures and numbers of how one run was trained and how its threshold was chosen."""
    losses = _losses({run.name: run})
    rates = pd.concat(run.histories)["images_per_second"]
    first = run.trainings[0]
    objective = OBJECTIVES[run.decision["objective"]]
    return {
        "name": run.name,
        "folds": len(run.histories),
        "training_figure": Markup(
            figures.inline_svg(
                figures.training_figure(losses),
                f"Training and validation loss and learning rate of the run {run.name}",
            )
        ),
        "facts": [
            ("training time", duration(sum(fold["seconds"] for fold in run.trainings))),
            ("images a second", number(rates.median(), 0)),
            ("parameters", f"{number(first['parameters'] / 1e6, 1)} million"),
            ("precision", first["precision"]),
            ("backend", first["settings"]["backend"]),
            ("best epoch", _per_fold(run, lambda training, _: str(training["best_epoch"]))),
            ("epochs", _per_fold(run, lambda _, history: str(len(history)))),
            (
                "best validation loss",
                _per_fold(run, lambda training, _: number(training["val_loss"], 3)),
            ),
        ],
        "threshold_figure": Markup(
            figures.inline_svg(
                figures.threshold_figure({run.name: run.decision}),
                f"Foreground Dice, background Dice and {objective} over the threshold, run "
                f"{run.name}; chosen: {run.decision['threshold']:.3f}",
            )
        ),
        "decision": run.decision,
        "objective": objective,
        "calibration_figure": Markup(
            figures.inline_svg(
                figures.reliability_figure({run.name: run.reliability}),
                f"Share of foreground over the probability, raw and calibrated, run {run.name}",
            )
        ),
        "calibration": calibration_sentences(run.metrics, run.per_image),
    }


def _specks(results: Path, run: Run) -> dict:
    """The diagnosis of the specks of a run, its picture and the classes of size that occur."""
    rows, picture = run.specks["by_size"], results / "runs" / run.name / "specks.png"
    upper = [row["from"] - 1 for row in rows[1:]]
    names = [f"{row['from']} to {last}" for row, last in zip(rows, upper, strict=False)]
    return {
        "sentences": run.specks["sentences"],
        "uri": figures.data_uri(read_pixels(picture), lossless=True),
        "rows": list(zip([*names, f"{rows[-1]['from']} or more"], rows, strict=True)),
        "false": run.specks["false"],
        "causes": CAUSES,
    }


def _per_fold(run: Run, text: Callable[[dict, pd.DataFrame], str]) -> str:
    values = [text(*pair) for pair in zip(run.trainings, run.histories, strict=True)]
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _losses_differ(runs: Mapping[str, dict]) -> bool:
    return len({(run["loss"], run["label_scale"]) for run in runs.values()}) > 1


def _scores_figure(runs: Mapping[str, Run]) -> Markup:
    figure = figures.scores_figure({name: run.per_image for name, run in runs.items()})
    return Markup(figures.inline_svg(figure, "Foreground and background Dice of each test image"))
