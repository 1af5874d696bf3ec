"""The table of what each step took."""

import numpy as np

from maskmake.report.tables import stage_table


def test_stages_are_in_the_order_of_the_chain_with_their_runs_and_folds(tmp_path):
    names = ("unet-big-fold10-predict", "unet-big-fold2-predict", "unet-decide", "validate")
    for name in names:  # what Snakemake writes of a step that it could not look at
        text = f"s\th:m:s\tmax_rss\n2.0\t0:00:02\t{'0.00' if name == 'validate' else 'NA'}\n"
        (tmp_path / f"{name}.tsv").write_text(text)
    known = {"fold": 0, "seconds": 2.0, "peak_memory": 3 * 2**20}
    trainings = {"unet": [{"fold": 0, "seconds": 2.0}], "unet-big": [known]}
    rows = stage_table(tmp_path.iterdir(), trainings)
    assert [(row["stage"], row["run"], row["fold"]) for row in rows] == [
        ("validate", "", ""),
        ("train", "unet", "0"),
        ("train", "unet-big", "0"),
        ("predict", "unet-big", "2"),
        ("predict", "unet-big", "10"),
        ("decide", "unet", ""),
    ]
    assert [row["seconds"] for row in rows] == [2] * 6
    np.testing.assert_equal([row["megabytes"] for row in rows], [np.nan] * 2 + [3] + [np.nan] * 3)
