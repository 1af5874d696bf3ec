"""Further seeds of a run add networks, and leave those of the first as they are."""

from maskmake.snakefile.repetitions import network_numbers, seed_of_network


def seeds_of(seed, folds, seeds):
    return [seed_of_network(seed, number, folds) for number in network_numbers(folds, seeds)]


def test_one_seed_is_that_of_the_run_for_each_fold():
    assert seeds_of(7, folds=3, seeds=1) == [7, 7, 7]


def test_raising_the_number_changes_no_seed():
    few, many = seeds_of(7, folds=2, seeds=2), seeds_of(7, folds=2, seeds=5)
    assert many[: len(few)] == few


def test_folds_share_the_seed_of_a_repetition():
    first, other, second, again = seeds_of(7, folds=2, seeds=2)
    assert first == other != second == again


def test_no_two_runs_share_a_network():
    """Seeds of runs are often 1, 2, 3; those made of them are no such numbers."""
    seeds = [made for seed in range(50) for made in seeds_of(seed, folds=1, seeds=20)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
