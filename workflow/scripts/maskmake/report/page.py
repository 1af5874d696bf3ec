"""The report of a data set: one self-contained page, and its figures as files.

Everything shown is read from the files of the earlier stages; nothing is computed again, and only
the images that are shown are read.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from maskmake.data.splits import SplitRecord
from maskmake.data.tables import check_columns, read_audit
from maskmake.masks.objectives import OBJECTIVE_NAMES, TINY
from maskmake.network.settings import TrainingRecord
from maskmake.pages.browser import Browser
from maskmake.pages.html import render_page
from maskmake.report import figures
from maskmake.report.image_table import browse_test_images
from maskmake.report.inputs import (
    ReportInputs,
    ReportOutputs,
    Run,
    read_comparison,
    read_data,
    read_runs,
)
from maskmake.report.methods import citations, methods_paragraph
from maskmake.report.notes import left_out_notes, notes
from maskmake.report.pictures import (
    FALSE,
    MISSED,
    augmented_panels,
    example_panels,
    gallery_panels,
    select_examples,
)
from maskmake.report.sentences import (
    calibration_sentences,
    objects_of,
    objects_sentence,
    result_sentence,
    speck_sentences,
    verdict_sentences,
)
from maskmake.report.speck_figure import DRAWN, drawn_pieces
from maskmake.report.tables import (
    FIRST,
    data_facts,
    difference_tables,
    flattened,
    plan_table,
    role_table,
    score_table,
    setting_text,
    settings_table,
    stage_table,
    versions,
)
from maskmake.report.terms import (
    CAUSE_TERMS,
    DASH,
    HEADINGS,
    counted,
    duration,
    number,
    percent,
    resampled,
)
from maskmake.report.verdict import (
    counting_scores,
    headline_scores,
    mattering_keys,
    reason_sentence,
    training_sentence,
)
from maskmake.runtime.documents import read_document
from maskmake.runtime.files import write_bytes, write_text
from maskmake.scores.bootstrap import MIN_GROUPS_FOR_VERDICT
from maskmake.scores.scorecard import headline_score

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"


class _Panels(NamedTuple):
    """The pictures of the page, each a dictionary with the array and its ``data:`` address."""

    gallery: list[dict]
    augmented: list[dict]
    examples: list[dict]


def write_report(
    inputs: ReportInputs,
    runs: list[str],
    settings: dict,
    outputs: ReportOutputs,
    processes: int = 1,
    left_out: Mapping[str, str | None] | None = None,
) -> None:
    """Write the page and its figures.

    Args:
        inputs: files of the earlier stages.
        runs: names of the runs, in the order of their files in ``inputs``.
        settings: resolved configuration: ``dataset``, ``split``, ``predict``, ``decide`` and, for
            each run, its complete training settings under ``runs``.
        outputs: where to write; the page asks for nothing but the pictures in ``outputs.images``,
            and can be read without them.
        processes: that make these pictures at once.
        left_out: runs that are not in the report, each with the error in its logs, if any.

    Raises:
        UserError: a picture cannot be decoded, or a file of an earlier stage is damaged.
    """
    images, labels, table = read_data(inputs)
    split: SplitRecord = read_document(inputs.split, SplitRecord)
    finished = read_runs(inputs, runs, table.loc[table["role"] == "test", "id"].tolist())
    comparison, pairs = read_comparison(inputs, finished)
    ranked = {name: finished[name] for name in comparison.index}
    best = next(iter(ranked.values()))
    panels = _Panels(
        gallery=gallery_panels(images, labels, table),
        augmented=augmented_panels(best.augmented),
        examples=[
            example_panels(
                best.pictures, images, labels, verdict, scores, objects_of(best.decision)
            )
            for verdict, scores in select_examples(best.per_image, headline_score(best.metrics))
        ],
    )
    _write_figures(outputs, ranked, panels)
    browser, looks = browse_test_images(outputs.images, inputs, ranked, table, processes)
    counting = counting_scores(best, looks)
    page = _render(
        browser=browser,
        best=best,
        notes=[*left_out_notes(left_out or {}), *notes(ranked, table, panels.examples)],
        runs=[_run_section(run) for run in ranked.values()],
        specks=_speck_section(best),
        objects=objects_of(best.decision),
        objects_sentence=objects_sentence(best.decision),
        warnings=[
            *read_audit(inputs.audit)["warnings"],
            *split["warnings"],
            *dict.fromkeys(text for run in ranked.values() for text in run.plan["warnings"]),
        ],
        split_reason=split["reason"],
        stages=stage_table(
            inputs.benchmarks, {name: run.trainings for name, run in finished.items()}
        ),
        trained=training_sentence(best, table, settings),
        why=reason_sentence(counting),
        tiles=headline_scores(best, counting),
        methods=methods_paragraph(best, table, settings, len(ranked)),
        citations=citations(best),
        **_data_section(best, table),
        **_score_section(ranked, comparison, pairs, mattering_keys(counting)),
        **_settings_section(settings, ranked),
        **panels._asdict(),
    )
    write_text(outputs.page, page)


def _data_section(best: Run, table: pd.DataFrame) -> dict:
    return {
        "sentence": result_sentence(best, table),
        "facts": data_facts(table),
        "roles": role_table(table),
    }


def _score_section(
    runs: Mapping[str, Run], comparison: pd.DataFrame, pairs: pd.DataFrame, first: list[str]
) -> dict:
    best = next(iter(runs.values()))
    scores = score_table(comparison, first)
    per_image = {name: run.per_image for name, run in runs.items()}
    groups = best.per_image["group"]
    return {
        "scores": scores,
        "first": FIRST,
        "other_scores": {group: rows for group, rows in scores.items() if group != FIRST},
        "headline": HEADINGS[headline_score(best.metrics)],
        "verdicts": verdict_sentences(pairs, headline_score(best.metrics)),
        "differences": difference_tables(pairs, best.name),
        "resampled": resampled(groups),
        "unit": "image" if groups.is_unique else "group",
        "few_groups": groups.nunique() < MIN_GROUPS_FOR_VERDICT,
        "scores_figure": figures.shown(
            "scores",
            figures.scores_figure(per_image),
            "Foreground and background Dice of each test image",
            pd.concat(per_image, names=["run", ""]).reset_index("run")[
                ["run", "id", "foreground_dice", "background_dice"]
            ],
        ),
    }


def _settings_section(settings: dict, runs: Mapping[str, Run]) -> dict:
    run_settings = settings["runs"]
    trainings = [training for run in runs.values() for training in run.trainings]
    return {
        "name": settings["dataset"]["name"],
        "planned": plan_table(runs.values(), settings),
        "run_settings": settings_table({name: run_settings[name] for name in runs}),
        "shared_settings": flattened(
            {key: settings[key] for key in ("dataset", "split", "predict", "decide", "compare")}
        ),
        "losses_differ": len({(run["loss"], run["label_scale"]) for run in run_settings.values()})
        > 1,
        "versions": versions(trainings),
        "commits": sorted({training["commit"] for training in trainings if "commit" in training}),
        "devices": sorted({training["device"] for training in trainings}),
        "timed": any(training["settings"].get("minutes") for training in trainings),
    }


def _render(browser: Browser, name: str, **context) -> str:
    return render_page(
        TEMPLATE,
        f"{name} · maskmake report",
        browser,
        filters={
            "number": number,
            "percent": percent,
            "duration": duration,
            "counted": counted,
            "setting": setting_text,
        },
        **context,
        name=name,
        tiny=TINY,
        missed_colour="rgb({}, {}, {})".format(*MISSED),
        false_colour="rgb({}, {}, {})".format(*FALSE),
        dash=DASH,
    )


def _write_figures(outputs: ReportOutputs, runs: Mapping[str, Run], panels: _Panels) -> None:
    decisions = {name: run.decision for name, run in runs.items()}
    plots = {
        outputs.training: figures.training_figure(_losses(runs.values())),
        outputs.threshold: figures.threshold_figure(
            decisions, OBJECTIVE_NAMES, {name: run.reliability for name, run in runs.items()}
        ),
        outputs.scores: figures.scores_figure({name: run.per_image for name, run in runs.items()}),
        outputs.calibration: figures.reliability_figure(
            {name: run.reliability for name, run in runs.items()}
        ),
    }
    for path, figure in plots.items():
        write_text(path, figures.svg(figure))
    titled = [(panel["picture"], _gallery_title(panel)) for panel in panels.gallery]
    _write_sheet(outputs.data, _rows_of_three(titled))
    titled = [(panel["picture"], panel["title"]) for panel in panels.augmented]
    _write_sheet(outputs.augmented, _rows_of_three(titled))
    _write_sheet(outputs.examples, [_example_row(example) for example in panels.examples])


def _gallery_title(panel: dict) -> str:
    return f"{panel['id']} ({panel['role']}), {percent(panel['foreground'])} foreground"


def _example_row(example: dict) -> list[tuple[np.ndarray, str]]:
    # The id once, above the first title: it may be longer than a picture is wide.
    ids = [f"{example['id']}\n", *[""] * (len(example["panels"]) - 1)]
    titled = zip(ids, example["panels"], strict=True)
    return [(panel["picture"], above + panel["title"]) for above, panel in titled]


def _rows_of_three(titled: list[tuple[np.ndarray, str]]) -> list[list[tuple[np.ndarray, str]]]:
    return [titled[start : start + 3] for start in range(0, len(titled), 3)]


def _write_sheet(path: str, rows: list[list[tuple[np.ndarray, str]]]) -> None:
    write_bytes(path, figures.png(figures.picture_figure(rows)))


def _losses(runs: Iterable[Run]) -> dict[str, list[tuple[pd.DataFrame, int]]]:
    """What ``figures.training_figure`` draws."""
    return {
        run.name: [
            (history, training["best_epoch"])
            for history, training in zip(run.histories, run.trainings, strict=True)
        ]
        for run in runs
    }


def _run_section(run: Run) -> dict:
    """Figures and numbers of how one run was trained and how its threshold was chosen."""
    objective = OBJECTIVE_NAMES[run.decision["objective"]]
    training = figures.training_figure(_losses([run]))
    threshold = figures.threshold_figure(
        {run.name: run.decision}, OBJECTIVE_NAMES, {run.name: run.reliability}
    )
    calibration = figures.reliability_figure({run.name: run.reliability})
    histories = pd.concat(run.histories, keys=range(len(run.histories)), names=["network", ""])
    return {
        "name": run.name,
        "folds": len({training["fold"] for training in run.trainings}),
        "networks": len(run.trainings),
        "facts": _training_facts(run),
        "training": figures.shown(
            f"{run.name}-training",
            training,
            f"Training and validation loss and learning rate of the run {run.name}",
            histories.reset_index("network"),
        ),
        "threshold": figures.shown(
            f"{run.name}-threshold",
            threshold,
            f"Foreground Dice, background Dice and {objective} over the threshold, run "
            f"{run.name}; chosen: {run.decision['threshold']:.3f}",
            _threshold_data(run),
        ),
        "decision": run.decision,
        "objective": objective,
        "calibration": figures.shown(
            f"{run.name}-calibration",
            calibration,
            f"Share of foreground over the probability, raw and calibrated, run {run.name}",
            run.reliability,
        ),
        "calibration_sentences": calibration_sentences(run.metrics, run.per_image),
    }


def _threshold_data(run: Run) -> pd.DataFrame:
    """Both curves of the threshold figure; a column that a curve does not have is empty."""
    scores = pd.DataFrame(run.decision["curve"]).assign(images="validation")
    recall = figures.precision_recall(run.reliability).assign(images="test")
    table = pd.concat([scores, recall], ignore_index=True)
    return table[["images", *table.columns.drop("images")]]


def _training_facts(run: Run) -> list[tuple[str, str]]:
    rates = pd.concat(run.histories)["images_per_second"]
    first = run.trainings[0]
    processors = first.get("processors")
    return [
        (
            "device",
            first["device"] + (f", {counted(processors, 'processor')}" if processors else ""),
        ),
        ("training time", duration(sum(fold["seconds"] for fold in run.trainings))),
        ("images a second", number(rates.median(), 0 if rates.median() >= 10 else 1)),
        ("parameters", f"{number(first['parameters'] / 1e6, 1)} million"),
        ("precision", first["precision"]),
        ("backend", first["settings"]["backend"]),
        ("best epoch", _per_fold(run, lambda training, _: str(training["best_epoch"]))),
        ("epochs", _per_fold(run, lambda _, history: str(len(history)))),
        (
            "best validation loss",
            _per_fold(run, lambda training, _: number(training["val_loss"], 3)),
        ),
        *_network_range(run),
    ]


def _network_range(run: Run) -> list[tuple[str, str]]:
    """The scores of one network by itself on the test images, if the run has several."""
    if "network_low" not in run.metrics:
        return []
    low, high = (number(run.metrics[f"network_{end}"], 3) for end in ("low", "high"))
    return [(f"{HEADINGS[headline_score(run.metrics)]} of one network", f"{low} to {high}")]


def _per_fold(run: Run, text: Callable[[TrainingRecord, pd.DataFrame], str]) -> str:
    values = [text(*pair) for pair in zip(run.trainings, run.histories, strict=True)]
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _speck_section(run: Run) -> dict:
    """The diagnosis of the specks of a run, its picture and the classes of size that occur."""
    table = pd.read_csv(run.speck_table, dtype=str, keep_default_na=False)
    check_columns(run.speck_table, table, DRAWN, "diagnose")
    rows = run.specks["by_size"]
    last = [row["from"] - 1 for row in rows[1:]]
    names = [f"{row['from']} to {upper}" for row, upper in zip(rows, last, strict=False)]
    return {
        "sentences": speck_sentences(run.specks, run.decision),
        "figure": figures.shown_files(
            f"{run.name}-specks",
            Path(run.speck_drawing).read_text(encoding="utf-8"),
            Path(run.speck_picture).read_bytes(),
            "Size and mean probability of every object and hole, and the region that shows the "
            "most specks",
            drawn_pieces(table)[DRAWN],
        ),
        "rows": list(zip([*names, f"{rows[-1]['from']} or more"], rows, strict=True)),
        "false": run.specks["false"],
        "causes": CAUSE_TERMS,
    }
