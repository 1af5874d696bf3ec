"""The model card of a package, ``README.md``: data, scores with their intervals, limits, use."""

from collections.abc import Mapping, Sequence
from typing import Any

from maskmake.data.fingerprint import Plan
from maskmake.export.description import ExportSettings
from maskmake.masks.decision import LearnedDecision
from maskmake.network.settings import TrainingRecord
from maskmake.report.terms import HEADINGS, counted, number, percent
from maskmake.scores.scorecard import headline_score

SCORES = ["mean_dice", "foreground_dice", "background_dice", "boundary_f1", "object_f1", "v_rand"]
SCORES += ["average_precision", "ece"]

USE = """```python
import maskmake
from PIL import Image

model = maskmake.load("package")  # the path of this folder
mask, probability = model.predict("image.png")
Image.fromarray(mask).save("mask.png")
print(f"{mask.mean():.1%} foreground; surest pixel {probability.max():.3f}")
```"""


def about(trainings: Sequence[TrainingRecord], plan: Plan) -> str:
    """What the model does, a sentence."""
    settings = trainings[0]["settings"]
    network = f"{settings['architecture']} with {settings['encoder']}"
    several = f"the mean of {len(trainings)} networks, each a {network}"
    channels = plan["channels"]
    return (
        f"Segments foreground in images of {counted(channels, 'channel')} ({plan['dtype']}): "
        f"{network if len(trainings) == 1 else several}, trained by maskmake."
    )


def model_card(
    name: str,
    text: str,
    settings: ExportSettings,
    trainings: Sequence[TrainingRecord],
    plan: Plan,
    decision: LearnedDecision,
    metrics: Mapping[str, Any],
) -> str:
    """The card as Markdown.

    Args:
        name: of the model.
        text: what the model does, a sentence.
        settings: who made it, and under which license.
        trainings: ``training.json`` of each fold.
        plan: ``plan.json``.
        decision: ``decision.json``.
        metrics: ``metrics.json``.
    """
    sections = [
        f"# {name}",
        text,
        _data(plan, trainings, metrics),
        _scores(metrics),
        _decision(decision),
        _limits(plan, trainings[0], metrics),
        "## Use\n\n"
        "`segment.model` of maskmake takes this folder. In Python, with ONNX Runtime alone:\n\n"
        f"{USE}\n\n"
        "`model.onnx` and `model.keras` take raw pixel values (batch, height, width, channels) as "
        "float32, and give logits. `preprocessing.json` says what images have to be, and "
        "`decision.json` how the mask follows from the probability. `sha256sum -c SHA256SUMS` "
        "checks the files.",
        _makers(settings),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _data(plan: Plan, trainings: Sequence[TrainingRecord], metrics: Mapping[str, Any]) -> str:
    height, width = plan["height"], plan["width"]
    patches = sum(training["patches"] for training in trainings)
    lines = [
        f"{counted(plan['images'], 'image')} with labels, {metrics['images']} of them for the test",
        f"height {height['minimum']} to {height['maximum']} pixels, width {width['minimum']} to "
        f"{width['maximum']}",
        f"{counted(plan['channels'], 'channel')}, {plan['dtype']}, values "
        f"{plan['intensity']['minimum']:g} to {plan['intensity']['maximum']:g}",
        f"{percent(plan['foreground'])} foreground",
        f"{counted(patches, 'patch', 'patches')} seen in training on {trainings[0]['device']}",
    ]
    return "## Data\n\n" + "\n".join(f"- {line}" for line in lines)


def _scores(metrics: Mapping[str, Any]) -> str:
    first = headline_score(metrics)
    rows = [
        f"| {HEADINGS[key]} | {number(metrics.get(key), 3)} | {_interval(metrics, key)} |"
        for key in [first, *(key for key in SCORES if key != first)]
    ]
    return "\n".join(
        [
            # bioimage.io looks for a heading of this name.
            f"## Validation\n\nOn {counted(metrics['images'], 'test image')}, which neither the "
            "networks nor the decision have seen. The interval holds 95 % of the bootstrap draws "
            "of test images.\n",
            "| score | value | interval |",
            "|---|---|---|",
            *rows,
        ]
    )


def _interval(metrics: Mapping[str, Any], key: str) -> str:
    low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    return "–" if low is None or high is None else f"{number(low, 3)} to {number(high, 3)}"


def _decision(decision: LearnedDecision) -> str:
    levels = f"threshold {decision['threshold']:.3f}"
    upper = decision.get("upper")
    if upper is not None:
        levels = f"lower level {decision['threshold']:.3f}, upper level {upper:.3f}"
    return (
        "## Decision\n\n"
        f"Learned on validation images: {levels}, smallest object {decision['min_object']} pixels, "
        f"smallest hole {decision['min_hole']} pixels. The objects are the "
        f"{decision.get('objects', 'foreground')}."
    )


def _limits(plan: Plan, training: TrainingRecord, metrics: Mapping[str, Any]) -> str:
    lines = [
        "It knows images like those it was trained on: the same instrument, staining, "
        "magnification and pixel size. Nothing was measured on others; look at masks of new kinds "
        "of images before you use them.",
        f"It takes {counted(plan['channels'], 'channel')} and values as the training images had "
        "them; images of another brightness or contrast give other masks."
        if not training["preprocessing"].get("per_image")
        else "Each image is normalized by itself, so an image without any foreground or with much "
        "more than usual may look different to it.",
    ]
    if metrics["images"] < 10:
        lines.append(
            f"{counted(metrics['images'], 'test image')} are few: the intervals above say how "
            "little the scores can tell."
        )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _makers(settings: ExportSettings) -> str:
    lines = [f"- {author['name']}" for author in settings["authors"]]
    lines += [
        f"- cite: {entry['text']} {entry.get('doi', '')}".rstrip() for entry in settings["cite"]
    ]
    lines += [f"- license: {settings['license']}"] if settings["license"] else []
    return "## By\n\n" + "\n".join(lines) if lines else ""
