"""Which runs are seeds of one recipe."""

from maskmake.snakefile.recipes import recipes_of

TRAIN = {"seed": 1, "loss": "dice", "gpu": "auto", "augmentation": {"noise": 0}}


def test_runs_that_differ_in_their_seed_alone_are_one_recipe():
    runs = {
        "a": TRAIN,
        "b": {**TRAIN, "loss": "bce"},
        "a2": {**TRAIN, "seed": 2, "gpu": 0},
        "c": {**TRAIN, "augmentation": {"noise": 1}},
        "b7": {**TRAIN, "loss": "bce", "seed": 7},
    }
    assert recipes_of(runs) == [["a", "a2"], ["b", "b7"], ["c"]]


def test_the_same_seed_twice_is_no_other_seed():
    runs = {"a": TRAIN, "copy": TRAIN, "a2": {**TRAIN, "seed": 2}}
    assert recipes_of(runs) == [["a", "a2"], ["copy"]]
