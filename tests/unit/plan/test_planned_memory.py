"""The memory that a training needs, and what is said where there is too little."""

import pytest
from planning import AUTO, GIB, TRAIN, Machine, plan

from maskmake.plan import machine as machines
from maskmake.plan.machine import OUTPUT_BYTES, needed_memory
from maskmake.runtime.errors import UserError


def test_more_memory_gives_the_same_plan_but_where_it_decides():
    assert plan(machine=Machine(0, 8 * GIB)) == plan(machine=Machine(0, 80 * GIB))


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_machine_is_asked_once_so_that_all_plans_are_of_the_same_memory(gpus, monkeypatch):
    """Other programs take memory and give it back, and nvidia-smi takes long to answer."""
    for name, answer in (
        ("available_memory", 64 * GIB),
        ("gpu_memory", 80 * GIB),
        ("multiply_bfloat16", True),
    ):
        answers = iter([answer])
        monkeypatch.setattr(machines, name, answers.__next__)
    machine = machines.Machine(gpus)
    assert plan(machine=machine) == plan(machine=machine)
    assert machine.memory == int(machines.SHARE * (80 if gpus else 64) * GIB)


def test_too_little_memory_for_the_smallest_batch_is_told_in_a_sentence():
    told = (
        r"train.batch: even 2 patches of 128 x 128 pixels may need 2.2 GiB, and the processor has"
    )
    with pytest.raises(UserError, match=told):
        plan(machine=Machine(0, 2 * GIB))


@pytest.mark.parametrize(
    ("memory", "explicit", "remedy"),
    [
        (2 * GIB + 1, {}, "set train.patch to a smaller multiple of 32 or train.encoder to a sm"),
        (2 * GIB + 1, {"patch": 32}, "give; set train.encoder to a smaller one such as resnet18."),
        (2 * GIB + 1, {"patch": 32, "encoder": "resnet18"}, "use a machine with more memory."),
        (2 * GIB + 1, {"architecture": "PSPNet"}, "set train.patch to a smaller multiple of 96 or"),
        (GIB, {}, "end other programs, or use a machine with more memory."),
    ],
)
def test_the_remedy_for_too_little_memory_helps(memory, explicit, remedy):
    with pytest.raises(UserError) as refusal:
        plan(machine=Machine(0, memory), **explicit)
    assert remedy in str(refusal.value)


def test_every_encoder_has_its_memory():
    assert sorted(OUTPUT_BYTES) == sorted(TRAIN["encoder"]["enum"])
    for architecture in TRAIN["architecture"]["enum"]:
        section = {**AUTO, "architecture": architecture, "encoder": "resnet34"}
        four, two = (needed_memory(section, batch, 128, Machine()) for batch in (4, 2))
        assert four > two
