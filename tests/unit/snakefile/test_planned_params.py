"""Which change of a setting plans a run again, over a history of plans."""

import pytest

from maskmake.plan.planner import settings_that_decide
from maskmake.runtime.files import write_json
from maskmake.snakefile.planned_params import planning_params

AUTO = {"batch": "auto", "patch": "auto", "encoder": "resnet34"}


class Run:
    """A run that is planned as Snakemake plans it: when its params are not those of its last plan.

    The plan chooses 8 patches of 128, and 2 of another size; of new data 16 and 2.
    """

    def __init__(self, folder):
        self.record, self.params, self.values = folder / ".plan.json", None, {}
        self.batch = 8

    def plan(self, section):
        patch = 128 if section["patch"] == "auto" else section["patch"]
        batch = section["batch"]
        if batch == "auto":
            batch = self.batch if patch == 128 else 2
        return {"settings": {"batch": {"value": batch}, "patch": {"value": patch}}}

    def start(self, section, data_changed=False):
        """Whether it was planned."""
        params = planning_params(section, self.record)
        planned = data_changed or params != self.params
        if planned:
            self.batch = 16 if data_changed else self.batch
            plan = self.plan(section)
            self.values = {name: each["value"] for name, each in plan["settings"].items()}
            self.params = params
            decide = settings_that_decide(section, plan, self.plan)
            record = {"params": params, "section": decide, "values": self.values}
            write_json(self.record, record)
        return planned


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    assert made.start(AUTO) and not made.start(AUTO)
    return made


@pytest.mark.parametrize("explicit", [{"batch": 8}, {"patch": 128}, {"batch": 8, "patch": 128}])
def test_a_setting_as_the_plan_has_it_changes_nothing(run, explicit):
    assert not run.start(AUTO | explicit)
    assert not run.start(AUTO)


@pytest.mark.parametrize("explicit", [{"batch": 8}, {"patch": 128}, {"batch": 8, "patch": 128}])
def test_a_setting_that_was_set_from_the_beginning_as_auto_has_it_changes_nothing(
    explicit, tmp_path
):
    run = Run(tmp_path)
    assert run.start(AUTO | explicit)
    assert not run.start(AUTO)
    assert not run.start(AUTO | explicit)
    assert run.start(AUTO | {"batch": 4}) and run.start(AUTO)


def test_of_two_settings_only_the_one_that_changes_nothing_may_be_removed(tmp_path):
    run = Run(tmp_path)
    assert run.start(AUTO | {"batch": 2, "patch": 64})
    assert not run.start(AUTO | {"patch": 64})
    assert run.start(AUTO | {"batch": 2})


@pytest.mark.parametrize("change", [{"batch": 4}, {"patch": 64}, {"encoder": "resnet18"}])
def test_another_value_is_planned_once_each_way(run, change):
    for section in (AUTO | change, AUTO):
        assert run.start(section)
        assert not run.start(section)


def test_a_setting_that_depends_on_what_is_set_is_planned_again_without_it(run):
    assert run.start(AUTO | {"patch": 64})
    assert run.values == {"batch": 2, "patch": 64}
    assert not run.start(AUTO | {"patch": 64, "batch": 2})
    assert run.start(AUTO | {"batch": 2})
    assert run.values == {"batch": 2, "patch": 128}


def test_what_was_set_when_the_data_changed_is_planned_again_when_it_is_removed(run):
    """The plan of the new data was made with it, although it had changed nothing before."""
    explicit = AUTO | {"batch": 8}
    assert not run.start(explicit)
    assert run.start(explicit, data_changed=True)
    assert not run.start(explicit)
    assert run.start(AUTO) and not run.start(AUTO)
    assert run.values["batch"] == 16
    assert run.start(explicit) and not run.start(explicit)
    assert run.start(AUTO) and not run.start(AUTO)


def test_what_was_set_when_the_data_changed_may_be_removed_where_auto_has_it(run):
    explicit = AUTO | {"batch": 16}
    assert run.start(explicit)
    assert run.start(explicit, data_changed=True)
    assert not run.start(AUTO) and not run.start(explicit)


def test_without_a_record_the_settings_themselves_are_compared(run):
    run.record.unlink()
    assert not run.start(AUTO)
    assert run.start(AUTO | {"batch": 8})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"params": 1, "section": 2, "values": 3}']
)
def test_a_damaged_record_plans_again(content, tmp_path):
    record = tmp_path / ".plan.json"
    record.write_text(content)
    assert planning_params({"steps": 2}, record) == {"steps": 2}


def test_a_record_of_a_version_with_other_settings_plans_again(tmp_path):
    record = tmp_path / ".plan.json"
    record.write_text('{"params": {"steps": 2}, "section": {"steps": 2}, "values": {}}')
    assert planning_params({"steps": 2}, record) == {"steps": 2}
    assert planning_params({"steps": 2, "new": 1}, record) == {"steps": 2, "new": 1}
