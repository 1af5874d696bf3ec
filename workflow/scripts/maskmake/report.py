"""The report of a data set: one self-contained page, and its figures as files.

Everything shown is read from the files of the earlier stages; nothing is computed again, and only
the images that are shown are read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from skimage.measure import label as label_components

from maskmake import figures
from maskmake.arrays import PixelStore, open_images, open_labels
from maskmake.calibration_words import calibration_sentences
from maskmake.files import atomic, read_csv, read_json, read_pixels, write_text
from maskmake.glossary import (
    CAUSES,
    DASH,
    OBJECTIVES,
    SCORES,
    Score,
    counted,
    duration,
    number,
    percent,
)
from maskmake.intervals import FEWEST_IMAGES
from maskmake.sources import natural_key
from maskmake.verdicts import difference_tables, verdict_sentences

TEMPLATES = Path(__file__).parent / "templates"
GALLERY_IMAGES = 6
EXAMPLES_EACH = 2  # best and worst test images
COUNTED_SIDE = 1536  # components are counted in the middle of an image, at most so large

# Numbers from which a note says something.
FEW_TEST_IMAGES = 5
LARGE_LOSS_RATIO = 1.5
ENOUGH_EPOCHS = 5
MANY_COMPONENTS_RATIO = 2
MANY_COMPONENTS = 20

STAGES = ["synthesize", "download", "validate", "binarize", "split", "plan", "train", "predict"]
STAGES += ["decide", "diagnose", "masks", "evaluate", "compare"]


class Run(NamedTuple):
    """What one run left behind; ``histories`` and ``trainings`` hold one entry a fold."""

    name: str
    histories: list[pd.DataFrame]
    trainings: list[dict]
    decision: dict
    specks: dict
    metrics: dict
    per_image: pd.DataFrame
    reliability: pd.DataFrame


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
    images, labels, table = _read_data(results)
    comparison = pd.read_csv(results / "comparison.csv", dtype={"run": str}).set_index("run")
    pairs = read_csv(results / "comparison_pairs.csv")
    finished = {run: _read_run(results, run) for run in comparison.index if run in runs}
    best = next(iter(finished.values()))

    gallery = _gallery(images, labels, table)
    augmented = _augmented(results / "runs" / best.name / "fold0/augmented.npy")
    examples = [
        _example(results, images, labels, best.name, verdict, scores)
        for verdict, scores in select_examples(best.per_image)
    ]
    _write_figures(figures_folder, finished, gallery, augmented, examples)
    page = _render(
        name=settings["dataset"]["name"],
        best=best,
        sentence=result_sentence(best, table),
        tiles=_tiles(best),
        notes=notes(finished, table, examples),
        facts=_facts(table),
        roles=_roles(table),
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
        shared_settings=_flat(
            {key: settings[key] for key in ("dataset", "split", "predict", "decide")}
        ),
        stages=stage_table(results / "benchmarks", list(finished)),
        versions=_versions(finished.values()),
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
        setting=_setting_text,
    )
    return environment.get_template("report.html.j2").render(
        **context,
        missed_colour="rgb({}, {}, {})".format(*figures.MISSED),
        false_colour="rgb({}, {}, {})".format(*figures.FALSE),
        dash=DASH,
    )


def _read_data(results: Path) -> tuple[PixelStore, PixelStore, pd.DataFrame]:
    """Images, labels, and the manifest with the columns ``role`` and ``fold`` of the split."""
    index = read_csv(results / "data/index.csv")
    images = open_images(results / "data/images.npy", index)
    labels = open_labels(results / "data/labels.npy", index)
    manifest = read_csv(results / "data/manifest.csv").drop(columns="role")
    splits = read_csv(results / "data/splits.csv")
    return images, labels, manifest.merge(splits[["id", "role", "fold"]], on="id")


def _read_run(results: Path, name: str) -> Run:
    folder = results / "runs" / name
    # By number, since fold10 sorts before fold2 as text.
    folds = sorted(folder.glob("fold*"), key=lambda path: int(path.name.removeprefix("fold")))
    return Run(
        name,
        [read_csv(fold / "history.csv") for fold in folds],
        [read_json(fold / "training.json") for fold in folds],
        read_json(folder / "decision.json"),
        read_json(folder / "specks.json"),
        read_json(folder / "metrics.json"),
        read_csv(folder / "per_image.csv"),
        read_csv(folder / "reliability.csv"),
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


def result_sentence(best: Run, table: pd.DataFrame) -> str:
    """The result of the best run in words.

    Args:
        best: the run.
        table: the manifest with roles; its test images tell which class is the more common.
    """
    metrics = best.metrics
    test = table[table["role"] == "test"]
    share = np.average(test["foreground"], weights=test["height"] * test["width"])
    majority = "foreground" if share >= 0.5 else "background"
    return (
        f"On {counted(metrics['images'], 'held-out image')} the run “{best.name}” labels "
        f"{percent(metrics['pixel_accuracy'])} of the pixels right (calling everything "
        f"“{majority}” would give {percent(metrics['majority_accuracy'])}); its Dice is "
        f"{number(metrics['foreground_dice'], 3)} for the foreground and "
        f"{number(metrics['background_dice'], 3)} for the background."
    )


def _tiles(best: Run) -> list[tuple[str, str, str]]:
    """Heading, value and remark of the figures at the head of the page."""
    metrics = best.metrics
    return [
        ("mean Dice", number(metrics["mean_dice"], 3), "of foreground and background"),
        ("foreground Dice", number(metrics["foreground_dice"], 3), "label white"),
        ("background Dice", number(metrics["background_dice"], 3), "label black"),
        (
            "pixel accuracy",
            percent(metrics["pixel_accuracy"]),
            f"majority: {percent(metrics['majority_accuracy'])}",
        ),
        ("V-Rand", number(metrics["v_rand"], 3), "objects kept apart"),
    ]


def _facts(table: pd.DataFrame) -> list[tuple[str, str]]:
    folds = table["fold"].nunique()
    areas = table["height"] * table["width"]
    sizes = [
        f"{table['height'][row]} × {table['width'][row]}"
        for row in (areas.idxmin(), areas.idxmax())
    ]
    bits = 8 * max(np.dtype(name).itemsize for name in table["dtype"])
    share = table["foreground"]
    return [
        ("Images", number(len(table), 0)),
        ("Cross-validation", f"{folds} folds" if folds > 1 else "none"),
        ("Height × width", " to ".join(dict.fromkeys(sizes)) + " pixels"),
        ("Pixel type", f"{bits} bits, {'RGB' if table['channels'].max() == 3 else 'grey'}"),
        (
            "Foreground",
            f"{percent(share.mean())} of an image on average, "
            f"{percent(share.min())} to {percent(share.max())}",
        ),
    ]


def _roles(table: pd.DataFrame) -> list[tuple[str, int, float]]:
    """Role, number of images and mean foreground share."""
    groups = table.groupby("role")["foreground"]
    return [
        (role, len(groups.get_group(role)), groups.get_group(role).mean())
        for role in ("train", "validation", "test")
        if role in groups.groups
    ]


def _gallery(images: PixelStore, labels: PixelStore, table: pd.DataFrame) -> list[dict]:
    """Images from the lowest to the highest foreground share, outlined."""
    ordered = table.sort_values("foreground", kind="stable")
    places = np.linspace(0, len(ordered) - 1, min(GALLERY_IMAGES, len(ordered))).round().astype(int)
    panels = []
    for row in ordered.iloc[places].itertuples():
        picture = figures.outlined(images[row.id], labels[row.id])
        panels.append(
            {
                "picture": picture,
                "uri": figures.data_uri(picture),
                "title": f"{row.id} ({row.role}), {percent(row.foreground)} foreground",
                "id": row.id,
                "role": row.role,
                "size": f"{row.height} × {row.width}",
                "foreground": row.foreground,
            }
        )
    return panels


def _augmented(path: Path) -> list[dict]:
    """The patches that a training kept, the label's border drawn on each."""
    panels = []
    for place, sample in enumerate(np.load(path), start=1):
        image, label = sample[..., :-1], sample[..., -1]
        picture = figures.outlined(image[..., 0] if image.shape[-1] == 1 else image, label)
        panels.append(
            {"title": f"patch {place}", "picture": picture, "uri": figures.data_uri(picture)}
        )
    return panels


def select_examples(per_image: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """The best and the worst test images by the mean of foreground and background Dice.

    Args:
        per_image: table of ``per_image.csv``; a score may be NaN.

    Returns:
        Pairs of a verdict and the scores of an image: up to two best, best first, and up to two
        worst, worst last; no image twice. Images without any Dice are shown only if all are so.
    """
    means = per_image[["foreground_dice", "background_dice"]].mean(axis=1)
    ordered = per_image.assign(mean_dice=means).sort_values(
        "mean_dice", ascending=False, kind="stable"
    )
    scored = ordered.dropna(subset="mean_dice")
    ordered = scored if len(scored) else ordered
    if len(ordered) == 1:
        return [("Only", ordered.iloc[0])]
    each = min(EXAMPLES_EACH, len(ordered) // 2)
    best = [("Best", ordered.iloc[place]) for place in range(each)]
    return best + [("Worst", ordered.iloc[place]) for place in range(-each, 0)]


def _example(
    results: Path,
    images: PixelStore,
    labels: PixelStore,
    run: str,
    verdict: str,
    scores: pd.Series,
) -> dict:
    image_id = scores["id"]
    image, label = images[image_id], labels[image_id]
    mask = read_pixels(results / "runs" / run / "masks" / f"{image_id}.png")
    probability = read_pixels(results / "runs" / run / "probability" / f"{image_id}.png")
    regions = read_pixels(results / "runs" / run / "regions" / f"{image_id}.png")
    white_label = figures.sampled(label) * np.uint8(255)
    panels = [
        ("image", figures.thumbnail(figures.stretched(image)), False),
        ("label", figures.thumbnail(white_label), True),
        ("probability", figures.thumbnail(figures.sampled(probability)), False),
        ("mask", figures.thumbnail(figures.sampled(mask)), True),
        ("errors", figures.error_map(image, label, mask), False),
        ("regions", figures.thumbnail(figures.sampled(regions)), True),
    ]
    return {
        "id": image_id,
        "verdict": verdict,
        "scores": scores,
        "panels": [
            {"title": title, "picture": picture, "uri": figures.data_uri(picture, lossless)}
            for title, picture, lossless in panels
        ],
        "label_components": count_components(label),
        "mask_components": count_components(mask),
    }


def count_components(mask: np.ndarray) -> int:
    """Number of 4-connected foreground components in the middle of a mask, (H, W)."""
    top, left = (max(0, (side - COUNTED_SIDE) // 2) for side in mask.shape)
    middle = mask[top : top + COUNTED_SIDE, left : left + COUNTED_SIDE]
    return int(label_components(middle > 0, connectivity=1).max())


def notes(runs: Mapping[str, Run], table: pd.DataFrame, examples: Sequence[Mapping]) -> list[str]:
    """What the numbers say in plain words; each sentence holds whenever it is given."""
    sentences = []
    test_images = int((table["role"] == "test").sum())
    if test_images < FEW_TEST_IMAGES:
        sentences.append(
            f"The scores rest on {counted(test_images, 'test image')}: other images could give "
            "rather different ones."
        )
    for run in runs.values():
        sentences += _score_notes(run) + _loss_notes(run)
    return sentences + _component_notes(examples)


def _score_notes(run: Run) -> list[str]:
    sentences = []
    accuracy, majority = run.metrics["pixel_accuracy"], run.metrics["majority_accuracy"]
    if accuracy <= majority:
        sentences.append(
            f"By pixel accuracy the run “{run.name}” learned nothing more than the majority: "
            f"{percent(accuracy)} against {percent(majority)}."
        )
    images = counted(len(run.per_image), "test image")
    for column, kind in (("recall", "foreground"), ("background_dice", "background")):
        missing = int((run.per_image[column] == 0).sum())
        if missing:
            sentences.append(
                f"The run “{run.name}” finds none of the {kind} in {missing} of {images}."
            )
    return sentences


def _loss_notes(run: Run) -> list[str]:
    ratios = [_overfitting(history) for history in run.histories]
    if max(ratios) < LARGE_LOSS_RATIO:
        return []
    return [
        f"The run “{run.name}” may be overfitting: its validation loss is past its lowest value "
        f"and ends at {number(max(ratios), 1)} times its training loss. More training images, "
        "stronger augmentation or a smaller encoder can help."
    ]


def _overfitting(history: pd.DataFrame) -> float:
    """Last validation loss over last training loss; 0 if it says nothing about overfitting."""
    last = history.iloc[-1]
    still_falling = not last["val_loss"] > history["val_loss"].min()
    if len(history) < ENOUGH_EPOCHS or last["loss"] <= 0 or still_falling:
        return 0.0
    return last["val_loss"] / last["loss"]


def _component_notes(examples: Sequence[Mapping]) -> list[str]:
    in_labels = sum(example["label_components"] for example in examples)
    in_masks = sum(example["mask_components"] for example in examples)
    if in_masks < max(MANY_COMPONENTS_RATIO * in_labels, MANY_COMPONENTS):
        return []
    return [
        f"In the test images shown, the masks hold {counted(in_masks, 'separate object')} where "
        f"the labels hold {number(in_labels, 0)}: many are fragments or specks."
    ]


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


def score_table(comparison: pd.DataFrame) -> dict[str, list[dict]]:
    """Rows of the score table, group by group.

    Args:
        comparison: table of ``comparison.csv``, indexed by run.

    Returns:
        For each group of ``SCORES`` its rows: ``score`` and, for each run, ``cells`` of a text,
        whether it is the best, and its interval or an empty text. All runs that round to the best
        value are the best, none if all do.
    """
    groups = {}
    for group, scores in SCORES.items():
        rows = []
        for key, score in scores.items():
            texts = [score.form(value) for value in comparison[key]]
            best = _best_text(comparison[key], score)
            emphasised = best != DASH and len(set(texts)) > 1
            cells = [
                (text, emphasised and text == best, interval)
                for text, interval in zip(texts, _intervals(comparison, key, score), strict=True)
            ]
            rows.append({"score": score, "cells": cells})
        groups[group] = rows
    return groups


def _intervals(values: pd.DataFrame, key: str, score: Score) -> list[str]:
    """The interval of a score for each run, empty where it has none."""
    if f"{key}_low" not in values:
        return [""] * len(values)
    ends = zip(values[f"{key}_low"], values[f"{key}_high"], strict=True)
    return [
        "" if pd.isna(low) else f"{score.form(low)} to {score.form(high)}" for low, high in ends
    ]


def _best_text(values: pd.Series, score: Score) -> str:
    if not score.better:
        return DASH
    return score.form(values.max() if score.better == "higher" else values.min())


def settings_table(settings_of_runs: Mapping[str, dict]) -> list[dict]:
    """One row a setting: ``key``, ``values`` of the runs, and whether they ``differ``."""
    flat = [_flat(settings) for settings in settings_of_runs.values()]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = []
    for key in keys:
        values = [_setting_text(run[key]) if key in run else DASH for run in flat]
        rows.append({"key": key, "values": values, "differ": len(set(values)) > 1})
    return rows


def _flat(settings: Mapping, prefix: str = "") -> dict:
    """Nested settings under dotted keys."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _setting_text(value) -> str:
    """A value as the configuration file has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def stage_table(folder: Path, runs: Sequence[str]) -> list[dict]:
    """Time and peak memory of each stage, in the order of the chain.

    Args:
        folder: Snakemake's benchmark files, ``<rule>.tsv``, ``<run>-<rule>.tsv`` or
            ``<run>-fold<k>-<rule>.tsv``. Those of other rules, such as this report's, and of
            runs that are no longer configured are left out.
        runs: names of the runs.

    Returns:
        Rows of ``stage``, ``run`` and ``fold`` (empty if it serves all), ``seconds`` and
        ``megabytes``; NaN where Snakemake measured nothing.
    """
    run_names, stages = ("|".join(map(re.escape, names)) for names in (runs, STAGES))
    pattern = re.compile(rf"(?:({run_names})-)?(?:fold(\d+)-)?({stages})")
    rows = []
    for path in sorted(folder.glob("*.tsv"), key=lambda path: natural_key(path.name)):
        match = pattern.fullmatch(path.stem)
        if match is None:
            continue
        run, fold, stage = match.groups(default="")
        measured = pd.read_csv(path, sep="\t", na_values=["NA", "-"])
        rows.append(
            {
                "stage": stage,
                "run": run,
                "fold": fold,
                "seconds": measured["s"].mean(),
                "megabytes": measured["max_rss"].mean(),
            }
        )
    return sorted(rows, key=lambda row: STAGES.index(row["stage"]))


def _versions(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """Name and version of each package a training used; several if the trainings differ."""
    pairs = {
        (package, version)
        for run in runs
        for training in run.trainings
        for package, version in training["versions"].items()
    }
    return sorted(pairs)
