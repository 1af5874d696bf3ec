"""Settings of the masks that are right alone and wrong together."""

from collections.abc import Iterator

from maskmake.network.settings import AUTO
from maskmake.snakefile.schema_errors import Fault


def mask_faults(runs: dict, predict: dict, decide: dict) -> Iterator[Fault]:
    """Faults of the tile and of the sizes of the clean-up.

    Args:
        runs: the complete ``train`` section of each run.
        predict, decide: these sections, complete.
    """
    for name, train in runs.items():
        if train["architecture"] == "PSPNet" and predict["tile"] not in (AUTO, train["patch"]):
            yield Fault(
                ("predict.tile", "train.architecture", "train.patch"),
                f"predict.tile: found {predict['tile']}, but PSPNet in run '{name}' takes tiles of "
                f"the size of its patches, train.patch: {train['patch']}; write auto",
            )
    sizes = decide["sizes"]
    if sizes != AUTO and sizes != sorted(sizes):
        found, ascending = (", ".join(map(str, each)) for each in (sizes, sorted(sizes)))
        yield Fault(
            ("decide.sizes",),
            f"decide.sizes: found {found}; expected ascending sizes; write [{ascending}]",
        )
