"""Which of two runs is better, in words: what a paired comparison says."""

import pandas as pd

from maskmake.glossary import DASH, SCORES, counted, number, percent
from maskmake.intervals import FEWEST_IMAGES, RESAMPLES

RANKED_BY = "mean_dice"
HEADINGS = {key: score.heading for group in SCORES.values() for key, score in group.items()}


def verdict_sentences(pairs: pd.DataFrame) -> list[str]:
    """A sentence on every two runs: what is said of the score that ranks them.

    Args:
        pairs: table of ``comparison_pairs.csv``.
    """
    return [_sentence(row) for row in pairs[pairs["score"] == RANKED_BY].itertuples()]


def _sentence(row) -> str:
    names, score = f"“{row.run}” and “{row.other}”", HEADINGS[RANKED_BY]
    if row.images == 0:
        return f"{names} cannot be compared: one of them has no {score}."
    if row.verdict == "no difference":
        return f"{names}: no difference in {score}."
    gain = f"by {number(row.difference, 4)} in {score}"
    if row.images < FEWEST_IMAGES:
        images = counted(row.images, "test image")
        return (
            f"“{row.run}” is ahead of “{row.other}” {gain}, but {images} cannot tell which of "
            "them is better."
        )
    evidence = (
        f"(95 % interval {_ends(row)}; better in {percent(row.share)} of {number(RESAMPLES, 0)} "
        "resamples of the test images)"
    )
    if row.verdict == "no clear difference":
        return f"{names}: no clear difference. “{row.run}” is ahead {gain} {evidence}."
    return f"“{row.run}” is better than “{row.other}” {gain} {evidence}."


def difference_tables(pairs: pd.DataFrame, best: str) -> list[dict]:
    """All scores of the best run against those of each other run.

    Args:
        pairs: table of ``comparison_pairs.csv``.
        best: name of the run.

    Returns:
        For each other run ``other`` and ``rows``, each the texts of score, difference, interval,
        share of the resamples in which the best run is better, and verdict.
    """
    return [
        {"other": other, "rows": [_row(row) for row in table.itertuples()]}
        for other, table in pairs[pairs["run"] == best].groupby("other", sort=False)
    ]


def _row(row) -> tuple[str, str, str, str, str]:
    difference = DASH if pd.isna(row.difference) else _signed(row.difference)
    interval = DASH if pd.isna(row.low) else _ends(row)
    return HEADINGS[row.score], difference, interval, percent(row.share), row.verdict


def _ends(row) -> str:
    return f"{_signed(row.low)} to {_signed(row.high)}"


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")
