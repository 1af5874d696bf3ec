"""The list of masks to look at first: its order and its reasons."""

import logging

import pandas as pd

from maskmake.predict.review import move_former_masks, review_shards, review_table

VALIDATION = {"foreground": [0.2, 0.3, 0.4], "expected_mean_dice": [0.95, 0.96, 0.94]}


def review(foreground: list, expected: list, validation: dict = VALIDATION) -> pd.DataFrame:
    ids = [f"x{place}" for place in range(len(foreground))]
    table = pd.DataFrame(
        {"id": ids, "foreground": foreground, "expected_mean_dice": expected, "width": 7}
    )
    return review_table(table, validation)


def test_the_least_expected_dice_comes_first_and_no_image_is_lost():
    table = review([0.3, 0.25, 0.35, 0.3], [0.94, 0.92, 0.97, 0.94])
    assert table["id"].tolist() == ["x1", "x0", "x3", "x2"]
    assert list(table) == ["id", "foreground", "expected_mean_dice", "width", "reason"]


def test_masks_like_those_of_the_validation_images_need_no_reason():
    # The worst validation image falls 0.06 short of 1; one and a half times that is 0.91.
    assert review([0.1, 0.3, 0.7], [0.911, 0.93, 0.96])["reason"].tolist() == ["", "", ""]


def test_unusual_masks_have_their_reasons():
    table = review([0, 1, 0.02, 0.75, 0.3], [0.5, 0.6, 0.95, 0.95, 0.8])
    reasons = dict(zip(table["id"], table["reason"], strict=True))
    dice = "an expected Dice of {}, against 0.940 to 0.960 in the validation images"
    assert reasons == {
        "x0": f"the mask has no foreground; {dice.format('0.500')}",
        "x1": f"the mask has no background; {dice.format('0.600')}",
        "x2": "2 % foreground, against 20 % or more in the validation images",
        "x3": "25 % background, against 60 % or more in the validation images",
        "x4": dice.format("0.800"),
    }


def test_without_validation_images_only_empty_masks_have_a_reason():
    table = review([0, 0.01], [0.5, 0.6], {"foreground": [], "expected_mean_dice": []})
    assert table["reason"].tolist() == ["the mask has no foreground", ""]


def test_the_shards_of_a_run_without_a_temperature_are_reviewed_together(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("maskmake"), "propagate", True)
    rows = {"image": ["new/x.png"], "foreground": [0.0], "expected_mean_dice": [0.5]}
    first, second = pd.DataFrame(rows), pd.DataFrame({**rows, "expected_mean_dice": [0.4]})
    with caplog.at_level("INFO", logger="maskmake"):
        review = review_shards([first, second], {"threshold": 0.5})
    assert review["expected_mean_dice"].tolist() == [0.4, 0.5]
    assert review["reason"].tolist() == ["the mask has no foreground"] * 2
    assert caplog.messages[0] == "new/x.png: expected Dice 0.400 (the mask has no foreground)"


def test_a_shard_without_a_mask_changes_no_number_of_the_others():
    rows = {"image": ["new/x.png"], "foreground": [0.5], "expected_mean_dice": [0.5]}
    whole = pd.DataFrame(rows)
    none = pd.DataFrame(columns=list(rows))
    learned = {"threshold": 0.5}
    pd.testing.assert_frame_equal(
        review_shards([none, whole], learned), review_shards([whole], learned)
    )
    assert review_shards([none, none], learned).empty


def test_masks_of_images_that_are_gone_are_moved_away_from_those_of_the_others(tmp_path, caplog):
    for name in ("x0.png", "x1.png", "x1_0000.png", "review.csv"):
        (tmp_path / name).write_text(name)
    with caplog.at_level(logging.INFO, logger="maskmake"):
        move_former_masks(tmp_path, ["x0", "x1_0000"])
    assert sorted(path.name for path in tmp_path.glob("*.*")) == [
        "review.csv", "x0.png", "x1_0000.png",
    ]  # fmt: skip
    assert (tmp_path / "former/x1.png").read_text() == "x1.png"
    assert f"were moved to {tmp_path / 'former'}: x1.png." in caplog.text
    caplog.clear()
    move_former_masks(tmp_path, ["x0", "x1_0000"])
    assert caplog.text == ""
