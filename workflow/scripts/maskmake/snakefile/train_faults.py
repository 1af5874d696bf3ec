"""Settings of trainings that are right alone and wrong together."""

from collections.abc import Iterator

from maskmake.network.settings import AUTO, PSPNET_STEP
from maskmake.snakefile.schema_errors import Fault, joined

# Their library publishes no checksum, so what a server sends cannot be verified.
ENCODERS_WITHOUT_WEIGHTS = ("mobilenet", "mobilenetv2")


def train_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    """Faults of patches, lengths, weights and GPUs.

    Args:
        runs: the complete ``train`` section of each run.
        overlays: the section ``runs`` as the user wrote it.
    """
    yield from _patch_faults(runs, overlays)
    yield from _level_faults(runs, overlays)
    yield from _length_faults(runs, overlays)
    yield from _weights_faults(runs, overlays)
    yield from _gpu_faults(runs, overlays)


def _patch_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        patch = train["patch"]
        if train["architecture"] != "PSPNet" or patch == AUTO or patch % PSPNET_STEP == 0:
            continue
        section = _section(name, overlays, {"architecture", "patch"})
        below = patch // PSPNET_STEP * PSPNET_STEP
        near = [str(size) for size in (below, below + PSPNET_STEP) if size]
        yield Fault(
            (f"{section}.patch", f"{section}.architecture", "train.patch", "train.architecture"),
            f"{section}.patch: found {patch}; PSPNet needs a multiple of {PSPNET_STEP}; write "
            f"{joined(near, 'or')}",
        )


def _level_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        if train["architecture"] == "PSPNet" and train["deep_supervision"] is True:
            section = _section(name, overlays, {"architecture", "deep_supervision"})
            yield Fault(
                (f"{section}.deep_supervision", "train.deep_supervision", "train.architecture"),
                f"{section}.deep_supervision: found true; PSPNet has a single level to predict "
                "from; write false or choose Unet, Linknet or FPN",
            )


def _length_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        if AUTO in (train["preset"], train["steps"], train["epochs"]):
            continue
        section = _section(name, overlays, {"preset", "steps", "epochs"})
        yield Fault(
            (f"{section}.preset", "train.preset", "train.steps", "train.epochs"),
            f"{section}.preset: found {train['preset']} together with steps and epochs, which say "
            "how long the training is already; remove the preset, or one of the two",
        )


def _weights_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        if train["encoder_weights"] is None:
            continue
        if train["encoder"] in ENCODERS_WITHOUT_WEIGHTS:
            section = _section(name, overlays, {"encoder", "encoder_weights"})
            yield Fault(
                (f"{section}.encoder_weights", f"{section}.encoder", "train.encoder"),
                f"{section}.encoder_weights: found {train['encoder_weights']}, but there are no "
                f"weights with a checksum for the encoder {train['encoder']}; write null or choose "
                "another encoder",
            )
        if train["normalization"] not in (AUTO, "standard", "image"):
            section = _section(name, overlays, {"normalization", "encoder_weights"})
            yield Fault(
                (f"{section}.normalization", f"{section}.encoder_weights", "train.normalization"),
                f"{section}.normalization: found {train['normalization']}; encoder_weights needs "
                "standard or image, from which the encoder's own preprocessing follows; write "
                "standard",
            )


def gpus_asked_for(train: dict) -> int:
    """GPUs that a training asks Snakemake and a cluster for; ``auto`` asks for one."""
    return 1 if train["gpu"] == "auto" else train["gpu"]


def _gpu_faults(runs: dict, overlays: dict) -> Iterator[Fault]:
    for name, train in runs.items():
        gpu, backend, batch = gpus_asked_for(train), train["backend"], train["batch"]
        if gpu > 1 and backend != "jax":  # Keras' distribution does nothing on the others
            section = _section(name, overlays, {"gpu", "backend"})
            yield Fault(
                (f"{section}.gpu", f"{section}.backend", "train.gpu", "train.backend"),
                f"{section}.gpu: found {gpu} with the backend {backend}; only jax trains on "
                "several GPUs; set train.backend to jax or train.gpu to 1",
            )
        elif gpu > 1 and batch != AUTO and batch % gpu:
            section = _section(name, overlays, {"gpu", "batch"})
            near = [str(size) for size in (batch // gpu * gpu, (batch // gpu + 1) * gpu) if size]
            yield Fault(
                (f"{section}.batch", f"{section}.gpu", "train.batch", "train.gpu"),
                f"{section}.batch: found {batch}; {gpu} GPUs share it equally; write "
                f"{joined(near, 'or')}",
            )


def _section(name: str, overlays: dict, keys: set[str]) -> str:
    """Where the user set one of the keys of a run: in the run itself or for all runs."""
    own = overlays[name].get("train", {}).keys() & keys
    return f"runs.{name}.train" if own else "train"
