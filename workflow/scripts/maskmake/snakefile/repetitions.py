"""The networks of a run: one for each fold, and as many again for each further seed.

They are numbered seed by seed, so that those of the first seed keep their names and are not trained
again when seeds are added: with two folds, networks 0 and 1 have the first seed, 2 and 3 the
second.
"""

import hashlib


def network_numbers(folds: int, seeds: int) -> range:
    """The numbers of the networks of a run; the name of the folder of one is ``fold<number>``."""
    return range(folds * seeds)


def seed_of_network(seed: int, number: int, folds: int) -> int:
    """The seed of a network: that of the run for the first of each fold, else one made of it.

    Args:
        seed: of the run.
        number: of the network.
        folds: of the run.

    Returns:
        0 to 2^32 - 1. Not the next integers, which a user gives to other runs: two runs would
        share networks, and comparing them would compare less than it says.
    """
    repetition = number // folds
    if not repetition:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed} {repetition}".encode()).digest()[:4])
