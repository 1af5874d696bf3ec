"""Images that could not be used are named at the end, and their shards are tried again."""

import json

import pytest

from maskmake.predict.refused import MOST, check_refused
from maskmake.runtime.errors import UserError
from maskmake.runtime.files import write_json


def check(folder, *shards, done=6):
    for number, sentences in enumerate(shards):
        write_json(folder / f"{number}.refused.json", sentences)
    files = [str(folder / f"{number}.refused.json") for number in range(len(shards))]
    paths = (str(folder / name) for name in ("review.csv", "attempts.json", "done.json"))
    check_refused(files, done, *paths)


def test_where_each_image_has_a_mask_the_end_is_good(tmp_path):
    check(tmp_path, [], [])
    assert json.loads((tmp_path / "done.json").read_text()) == {"images": 6}
    assert not (tmp_path / "attempts.json").exists()


def test_each_failure_has_the_shards_of_its_images_tried_again(tmp_path):
    for count in (1, 2):
        with pytest.raises(UserError) as error:
            check(tmp_path, ["a.png: cut."], [], ["b.png: grey."])
        list_ = tmp_path / "review.csv"
        assert str(error.value) == f"a.png: cut.\nb.png: grey.\n6 of 8 images are done: {list_}"
        assert not (tmp_path / "done.json").exists()
        attempts = json.loads((tmp_path / "attempts.json").read_text())
        assert attempts == {"0": count, "2": count}
    check(tmp_path, [], [], [])
    assert json.loads((tmp_path / "attempts.json").read_text()) == attempts


def test_of_many_images_the_page_names_the_rest(tmp_path):
    with pytest.raises(UserError) as error:
        check(tmp_path, [f"{number}.png: cut." for number in range(MOST + 3)], done=0)
    lines = str(error.value).splitlines()
    assert len(lines) == MOST + 2
    assert lines[-2] == f"3 more images could not be used; {tmp_path / 'review.html'} names them."
    assert lines[-1].startswith(f"0 of {MOST + 3} images are done: ")


@pytest.mark.parametrize("contents", [5, [1], {"a": "b.png: cut."}, [["b.png: cut."]]])
def test_sentences_that_are_none_are_named(contents, tmp_path):
    with pytest.raises(UserError, match=r"0\.refused\.json: .* remove it and run the step"):
        check(tmp_path, contents)


@pytest.mark.parametrize("contents", [[], {"0": "1"}, {"0": None}, 3])
def test_a_damaged_record_of_attempts_is_named(contents, tmp_path):
    write_json(tmp_path / "attempts.json", contents)
    with pytest.raises(UserError, match=r"attempts\.json: .* remove it and run the step"):
        check(tmp_path, ["a.png: cut."])
