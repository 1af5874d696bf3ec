"""What an article says of the best run: a paragraph, and what to cite."""

from collections.abc import Mapping

import pandas as pd

from maskmake.report.inputs import Run
from maskmake.report.terms import DASH, HEADINGS, counted, number, resampled
from maskmake.report.verdict import repetitions, span
from maskmake.scores.scorecard import headline_score

RELEASED = 2026  # the year of the version, as CITATION.cff has it; a test compares them
LIBRARY_CITATIONS = [
    "Iakubovskii P. Segmentation Models. github.com/qubvel/segmentation_models, 2019.",
    "Chollet F, et al. Keras. keras.io, 2015.",
    "Mölder F, et al. Sustainable data analysis with Snakemake. F1000Research 10:33, 2021.",
]
NETWORK_CITATIONS = {
    "Unet": "Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image "
    "segmentation. MICCAI 2015.",
    "FPN": "Lin T-Y, et al. Feature pyramid networks for object detection. CVPR 2017.",
    "Linknet": "Chaurasia A, Culurciello E. LinkNet: exploiting encoder representations for "
    "efficient semantic segmentation. VCIP 2017.",
    "PSPNet": "Zhao H, et al. Pyramid scene parsing network. CVPR 2017.",
}
# What each setting of an augmentation does, and its value that does nothing.
CHANGES = {
    "flip_horizontal": ("flips", False),
    "flip_vertical": ("flips", False),
    "quarter_turns": ("quarter turns", False),
    "rotation": ("rotation", 0),
    "zoom": ("zoom", 0),
    "shift": ("shifts", 0),
    "shear": ("shear", 0),
    "elastic": ("elastic deformation", 0),
    "noise": ("noise", 0),
    "blur": ("blur", 0),
    "gain": ("gain", 0),
    "brightness": ("brightness", 0),
    "contrast": ("contrast", 0),
    "low_resolution": ("lower resolution", 1),
    "gamma": ("gamma", 1),
}


def methods_paragraph(best: Run, table: pd.DataFrame, settings: Mapping, compared: int) -> str:
    """A paragraph for the methods section of an article.

    Args:
        best: the run.
        table: the manifest with roles.
        settings: resolved configuration, of which ``predict`` is read.
        compared: runs, of which it is the best one.
    """
    training = best.trainings[0]
    used: Mapping = training["settings"]
    versions, decision = training["versions"], best.decision
    roles = table["role"].value_counts()
    levels = number(decision["threshold"], 3)
    if decision["upper"] is not None:
        levels += f", and {number(decision['upper'], 3)} for the seeds of objects"
    several = len(best.trainings)
    steps = span([training["settings"]["steps"] for training in best.trainings], "step")
    mean = f" Logits are means over {several} networks, trained{repetitions(best)}."
    flips = " Probabilities are means over eight flips and quarter turns."
    return (
        f"Images were segmented with maskmake {versions.get('maskmake', DASH)} (Keras "
        f"{versions.get('keras', DASH)}, {used['backend']}). A {used['architecture']} with the "
        f"encoder {used['encoder']} ({'ImageNet' if used.get('encoder_weights') else 'random'} "
        f"weights, {number(training['parameters'] / 1e6, 1)} million parameters) "
        f"was trained on {counted(int(roles.get('train', 0)), 'image')} for "
        f"{span([len(history) for history in best.histories], 'epoch')} of {steps}, with "
        f"batches of {used['batch']} patches of {used['patch']} × {used['patch']} pixels and the "
        f"loss {_loss(used)}{_optimizer(used)}{_seeds(best)}.{_augmentation(used)} "
        f"The epoch, the threshold ({levels}) and the "
        f"smallest sizes (objects {decision['min_object']}, holes {decision['min_hole']} pixels) "
        f"were chosen on validation images.{mean if several > 1 else ''}"
        f"{flips if settings['predict'].get('tta') else ''} "
        f"{_test_images(best, int(roles.get('test', 0)), compared)} Intervals are 95 % bootstrap "
        f"intervals over the {resampled(best.per_image['group'])}."
    )


def _test_images(best: Run, images: int, compared: int) -> str:
    """What the test images chose: nothing, or which of several runs is the best one."""
    text = f"{counted(images, 'test image')} chose no setting of the run"
    if compared == 1:
        return f"{text}."
    score = HEADINGS[headline_score(best.metrics)]
    return (
        f"{text}, but of {compared} runs it is the one with the highest {score} on them, so its "
        "scores may be a little too high."
    )


def _loss(used: Mapping) -> str:
    deep = " with deep supervision" if used.get("deep_supervision") else ""
    return f"{used['loss']}{deep}"


def _optimizer(used: Mapping) -> str:
    if "optimizer" not in used:
        return ""
    return (
        f" by {used['optimizer']} with the learning rate {used['learning_rate']:g} (schedule "
        f"{used['schedule']})"
    )


def _seeds(best: Run) -> str:
    seeds = dict.fromkeys(str(training["settings"].get("seed", "")) for training in best.trainings)
    if "" in seeds:
        return ""
    return f" from seed{'s' if len(seeds) > 1 else ''} {' and '.join(seeds)}"


def _augmentation(used: Mapping) -> str:
    """A sentence on the random changes of patches; none where nothing was changed."""
    setting = used.get("augmentation", {})
    found = dict.fromkeys(
        word for name, (word, nothing) in CHANGES.items() if setting.get(name, nothing) != nothing
    )
    return f" Patches were changed at random: {', '.join(found)}." if found else ""


def citations(best: Run) -> list[str]:
    """What to cite: the software, the network and the libraries."""
    training = best.trainings[0]
    network = NETWORK_CITATIONS.get(training["settings"]["architecture"])
    return [
        f"The maskmake developers. maskmake {training['versions'].get('maskmake', DASH)}: from "
        f"images and labels to a trained binary segmentation, {RELEASED}.",
        *([network] if network else []),
        *LIBRARY_CITATIONS,
    ]
