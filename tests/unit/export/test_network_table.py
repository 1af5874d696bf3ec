"""The documented table of networks is complete; slow tests export each of its rows."""

from network_table import networks
from schema import SCHEMA

TRAIN = SCHEMA["$defs"]["train"]["properties"]


def test_every_encoder_and_every_decoder_is_in_the_table_once():
    expected = [("Unet", encoder) for encoder in TRAIN["encoder"]["enum"]]
    expected += [(d, "resnet18") for d in TRAIN["architecture"]["enum"] if d != "Unet"]
    assert sorted((row.decoder, row.encoder) for row in networks()) == sorted(expected)


def test_a_row_is_measured_whole_or_not_at_all():
    for row in networks():
        numbers = row[2:]
        assert None not in numbers or set(numbers) == {None}, row
        assert row.difference is None or row.difference < 1e-3, row
