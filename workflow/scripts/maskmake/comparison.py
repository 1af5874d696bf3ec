"""All runs of a data set side by side."""

import pandas as pd


def compare_runs(metrics: dict[str, dict]) -> pd.DataFrame:
    """One row a run, the highest mean of foreground and background Dice first.

    Args:
        metrics: contents of ``metrics.json`` of each run.

    Returns:
        Column run, then the keys of ``metrics.json``.
    """
    table = pd.DataFrame([{"run": run, **scores} for run, scores in metrics.items()])
    mean_dice = table[["foreground_dice", "background_dice"]].astype(float).mean(axis=1)
    order = mean_dice.sort_values(ascending=False, kind="stable", na_position="last").index
    return table.loc[order]
