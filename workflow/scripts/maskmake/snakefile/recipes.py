"""Which runs are the same recipe, trained with other seeds."""

import json

# What two runs of one recipe may differ in, apart from their seed; it changes no network.
DEVICE = ("gpu", "tensorboard")


def recipes_of(runs: dict[str, dict]) -> list[list[str]]:
    """Group runs whose settings differ in ``train.seed`` alone.

    Args:
        runs: the complete ``train`` section of each run.

    Returns:
        The names of the runs of each recipe, all in the order of ``runs``. A run whose recipe has
        its seed already is one more recipe: the same network twice says nothing about seeds.
    """
    groups: dict[str, dict[int, str]] = {}
    for name, train in runs.items():
        others = {key: value for key, value in train.items() if key not in (*DEVICE, "seed")}
        key = json.dumps(others, sort_keys=True)
        while train["seed"] in groups.get(key, {}):
            key += " again"
        groups.setdefault(key, {})[train["seed"]] = name
    return [list(group.values()) for group in groups.values()]
