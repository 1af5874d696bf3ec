"""What the machine of a training has, and what a training needs of its memory."""

from dataclasses import dataclass
from functools import cached_property

from maskmake.runtime.gpus import gpu_memory, multiply_bfloat16
from maskmake.runtime.memory import available_memory

# Bytes of the outputs of all layers of a U-Net for each pixel of a patch, as float32: what
# ``network.memory.output_bytes`` says of the network of each encoder, rounded up.
OUTPUT_BYTES = {
    "vgg16": 2600,
    "vgg19": 2700,
    "resnet18": 2200,
    "resnet34": 2700,
    "resnet50": 4600,
    "resnet101": 6200,
    "resnet152": 8100,
    "resnext50": 6200,
    "resnext101": 8600,
    "seresnet18": 2300,
    "seresnet34": 2800,
    "seresnet50": 4900,
    "seresnet101": 6800,
    "seresnet152": 9100,
    "seresnext50": 6600,
    "seresnext101": 9300,
    "senet154": 15700,
    "densenet121": 5300,
    "densenet169": 6100,
    "densenet201": 7500,
    "inceptionv3": 3000,
    "inceptionresnetv2": 5600,
    "mobilenet": 2700,
    "mobilenetv2": 3100,
    "efficientnetb0": 3100,
    "efficientnetb1": 3900,
    "efficientnetb2": 4000,
    "efficientnetb3": 5000,
    "efficientnetb4": 6100,
    "efficientnetb5": 7900,
    "efficientnetb6": 9800,
    "efficientnetb7": 12700,
}
# Other decoders have at most this more (ResNet-34, EfficientNet-B0).
DECODER_BYTES = {"Unet": 0, "FPN": 2700, "Linknet": 0, "PSPNet": 0}
# Peak memory of a step is up to 2 times the outputs of all layers, see ``network.memory``.
PEAK = 2.0
# The program itself, its libraries and the weights with their gradients and moments.
BASE = 2 * 2**30
# Of the memory that is free, or that a GPU has, which other programs may want too.
SHARE = 0.8


@dataclass(frozen=True)
class Machine:
    """The device of a training: how many GPUs, 0 for the processor."""

    gpus: int

    @cached_property
    def memory(self) -> int | None:
        """Bytes that a training can take: of one GPU, or those that are free for the processor.

        None where a GPU is asked for that this machine does not list. They are asked for once, so
        that all plans of a machine are made for the same memory.
        """
        memory = gpu_memory() if self.gpus else available_memory()
        return None if memory is None else int(SHARE * memory)

    @cached_property
    def halves_outputs(self) -> bool:
        """Whether ``train.precision: auto`` keeps the outputs of layers in half the bytes.

        Not for the processor, which may have no bfloat16.
        """
        return self.gpus > 0 and multiply_bfloat16()

    @property
    def name(self) -> str:
        """What an error calls it."""
        return "GPU" if self.gpus else "processor"


def needed_memory(section: dict, batch: int, patch: int, machine: Machine) -> int:
    """Bytes that a training takes at most, those of one GPU where there are several.

    Args:
        section: settings of a run: architecture, encoder and precision.
        batch: patches a step.
        patch: their side in pixels.
        machine: whose GPUs share the batch.
    """
    pixel = OUTPUT_BYTES[section["encoder"]] + DECODER_BYTES[section["architecture"]]
    precision = section["precision"]
    half = machine.halves_outputs if precision == "auto" else precision == "bfloat16"
    share = -(-batch // max(machine.gpus, 1))
    return int(BASE + PEAK * pixel * share * patch**2 / (2 if half else 1))


def gib(size: int) -> str:
    """Bytes in GiB."""
    return f"{size / 2**30:.1f}"
