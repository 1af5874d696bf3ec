"""What an article says of the best run: a paragraph, and what to cite."""

from collections.abc import Mapping

import pandas as pd

from maskmake.report.inputs import Run
from maskmake.report.terms import DASH, counted, number
from maskmake.report.verdict import repetitions

CITATIONS = [
    "The maskmake developers. maskmake: from images and masks to a trained binary segmentation.",
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


def methods_paragraph(best: Run, table: pd.DataFrame, settings: Mapping) -> str:
    """A paragraph for the methods section of an article.

    Args:
        best: the run.
        table: the manifest with roles.
        settings: resolved configuration, of which ``predict`` is read.
    """
    training = best.trainings[0]
    used: Mapping = training["settings"]
    versions, decision = training["versions"], best.decision
    roles = table["role"].value_counts()
    optimizer = f" by {used['optimizer']}" if "optimizer" in used else ""
    weight = used.get("neighbour_loss", 0)
    neighbours = f" and {weight:g} times that of the worst neighbours" if weight else ""
    levels = number(decision["threshold"], 3)
    if decision["upper"] is not None:
        levels += f", and {number(decision['upper'], 3)} for the seeds of objects"
    several = len(best.trainings)
    mean = f" Logits are means over {several} networks, trained{repetitions(best)}."
    flips = " Probabilities are means over eight flips and quarter turns."
    return (
        f"Images were segmented with maskmake {versions.get('maskmake', DASH)} (Keras "
        f"{versions.get('keras', DASH)}, {used['backend']}). A {used['architecture']} with the "
        f"encoder {used['encoder']} ({number(training['parameters'] / 1e6, 1)} million parameters) "
        f"was trained on {counted(int(roles.get('train', 0)), 'image')} for "
        f"{counted(len(best.histories[0]), 'epoch')} of {counted(used['steps'], 'step')}, with "
        f"batches of {used['batch']} patches of {used['patch']} × {used['patch']} pixels and the "
        f"loss {used['loss']}{neighbours}{optimizer}. The epoch, the threshold ({levels}) and the "
        f"smallest sizes (objects {decision['min_object']}, holes {decision['min_hole']} pixels) "
        f"were chosen on validation images.{mean if several > 1 else ''}"
        f"{flips if settings['predict'].get('tta') else ''} "
        f"{counted(int(roles.get('test', 0)), 'test image')} took no part in any choice; intervals "
        "are 95 % bootstrap intervals over the test images."
    )


def citations(best: Run) -> list[str]:
    """What to cite: the software and the network."""
    network = NETWORK_CITATIONS.get(best.trainings[0]["settings"]["architecture"])
    return [*CITATIONS, *([network] if network else [])]
