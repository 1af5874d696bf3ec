"""What the sentence about a clean-up says, against the numbers of ``decision.json``."""

import re

import pytest

NUMBER = r"[-+]?\d+\.\d+"
ERROR = rf"{NUMBER}|not known from fewer than 3 images or groups"
PAYS = re.compile(
    rf"The clean-up pays: at threshold ({NUMBER}) mean Dice is ({NUMBER}) with it, ({NUMBER}) "
    rf"without; the standard error of this gain is ({ERROR})\."
)
REFUSED = re.compile(
    rf"No clean-up: at threshold ({NUMBER}) the best one that takes anything false "
    r"\((?:objects below \d+, holes|objects|holes) below \d+ pixels\) takes away (\d+) false and "
    rf"(\d+) true components and changes mean Dice by ({NUMBER}), "
    rf"(?:no more than its standard error of ({ERROR})|no gain)\."
)
NOTHING = re.compile(
    rf"No clean-up: at threshold ({NUMBER}) no object or hole smaller than \d+ pixels is false\."
)


def check_clean_up(reason: str, learned: dict, cleaned: bool) -> None:
    """Fail if a sentence says what the numbers do not.

    Args:
        reason: the sentence.
        learned: ``clean_up`` and, as long as there is one level, ``threshold``.
        cleaned: whether the decision removes or fills anything by size.
    """
    found = learned["clean_up"]
    threshold = learned["threshold"] if found is None else found["threshold"]
    said = next(m for pattern in (PAYS, REFUSED, NOTHING) if (m := pattern.fullmatch(reason)))
    assert float(said[1]) == round(threshold, 3)
    assert (said.re is PAYS) == cleaned and (said.re is NOTHING) == (found is None)
    if found is None:
        return
    gain = found["score_with"] - found["score_without"]
    if cleaned:
        assert float(said[2]) == pytest.approx(found["score_with"], abs=5e-5)
        assert float(said[3]) == pytest.approx(found["score_without"], abs=5e-5)
        assert float(said[2]) > float(said[3])
        error = said[4]
    else:
        assert int(said[2]) == found["objects_false"] + found["holes_false"] > 0
        assert int(said[3]) == found["objects_true"] + found["holes_true"]
        assert float(said[4]) == pytest.approx(gain, abs=5e-5)
        error = said[5]
        assert (error is None) == (gain <= 0)
    if found["error"] is not None:
        assert cleaned == (gain > found["error"])
        assert error is None or float(error) == pytest.approx(found["error"], rel=0.06, abs=5e-5)
    elif error is not None:
        assert error == "not known from fewer than 3 images or groups"
