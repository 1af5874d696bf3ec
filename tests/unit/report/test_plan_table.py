"""The table of the planned settings and their reasons."""

from types import SimpleNamespace

import pytest

from maskmake.report.tables import SET_BEFORE, plan_table


@pytest.mark.parametrize(
    ("asked", "planned", "shown"),
    [
        ("auto", "objects are long", "objects are long"),
        (64, "set in the configuration", "set in the configuration"),
        # Neither change makes a new plan, since the value stays.
        (64, "objects are long", "set in the configuration"),
        ("auto", "set in the configuration", SET_BEFORE),
    ],
)
def test_the_reason_of_a_planned_setting_is_that_of_the_configuration(asked, planned, shown):
    plan = {"settings": {"patch": {"value": 64, "reason": planned}}, "auto": {}}
    rows = plan_table([SimpleNamespace(name="a", plan=plan)], {"runs": {"a": {"patch": asked}}})
    assert rows == [{"key": "patch", "value": "64", "reason": shown, "runs": "a"}]
