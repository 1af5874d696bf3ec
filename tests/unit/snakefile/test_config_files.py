"""What Snakemake would lose of a configuration file without a word, or not read."""

import pytest

from maskmake.runtime.errors import UserError
from maskmake.snakefile.config_files import check_files, check_readable, with_name

LOST = "and all but the last would be lost; expected it once in its section"
OTHER = "expected a number as it is written; put a name in quotes"
FAULTS = {
    "a section": (
        "train: {epochs: 3}\nsplit: {}\ntrain: {batch: 2}\n",
        [f"'train' stands twice (lines 1 and 3), {LOST}"],
    ),
    "a key of a run": (
        "runs:\n  a:\n    train: {}\n  b: {}\n  a: {}\n",
        [f"'a' stands twice (lines 2 and 5), {LOST}"],
    ),
    "on one line": ("split: {seed: 1, seed: 2}", [f"'seed' stands twice (line 1), {LOST}"]),
    "in a list": (
        "dataset: {storage: {images: [{address: a, address: b}]}}",
        [f"'address' stands twice (line 1), {LOST}"],
    ),
    "two at once": (
        "train:\nsplit:\ntrain:\nsplit:\n",
        [f"'train' stands twice (lines 1 and 3), {LOST}", "'split' stands twice (lines 2 and 4)"],
    ),
    "JSON": ('{"train": {},\n\t"train": {}}', [f"'train' stands twice, {LOST}"]),
    "octal": ("split: {test: [010]}", [f"line 1: YAML reads 010 as the number 8; {OTHER}"]),
    "a colour": (
        "dataset:\n  ignore: #00ff00  # grass\n",
        ["line 2: YAML takes #00ff00 for a comment, so that 'ignore' has no value; put the colour"],
    ),
    "sexagesimal": (
        "split:\n  test:\n  - 12:30",
        [f"line 3: YAML reads 12:30 as the number 750; {OTHER}"],
    ),
}


@pytest.mark.parametrize(("text", "parts"), FAULTS.values(), ids=FAULTS)
def test_what_would_be_lost_is_named(text, parts, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "mine.yaml"
    good.write_text("train: {}\n")
    bad.write_text(text)
    with pytest.raises(UserError) as caught:
        check_files([good, bad], [])
    lines = str(caught.value).splitlines()
    assert len(lines) == len(parts)
    for line, part in zip(lines, parts, strict=True):
        assert line.startswith(f"{bad}: ")
        assert part in line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "train: {epochs: 3}\nruns: {a: {train: {epochs: 3}}, b: {train: {epochs: 3}}}\n",
        "runs: {a: &a {train: {}}, b: *a, c: *a}\n",
        "\ufeffsplit: {test: [007, '010', 1_000, 0, 00]}\n",
        '{"train": {},\n\t"split": {}}',
        "dataset:\n  ignore: '#00ff00'\n  table:  # ffeedd\n  images: #ffeeddcc\n  groups: #1\n",
    ],
)
def test_nothing_is_found_where_nothing_is_lost(text, tmp_path):
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    check_files([tmp_path / "mine.yaml"], ["snakemake", "--configfile", "mine.yaml"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("dataset: {images: a}".encode("utf-16"), "found another encoding; expected UTF-8; save"),
        (b"# Zell\xe4\ndataset: {}", "found another encoding; expected UTF-8; save the file"),
        (b"dataset:\n\timages: a\n", "found in line 2 what is no YAML (found character '\\t'"),
        (b"dataset: {images: [a}\n", "found in line 1 what is no YAML ("),
        (rb'a: "data\images"', "(found unknown escape character 'i'); put a text with \\ into"),
        (rb'a: "C:\Users"', "hexadecimal numbers, but found 's'); put a text with \\ into"),
        (b"a: 1\nb: [2021-02-30]", "in line 2 a value that YAML cannot read (2021-02-30: day"),
        (b"a: !include b.yaml", "(could not determine a constructor for the tag '!include'); exp"),
        (b"? [a, b]\n: 1\n", "in line 1 a value that YAML cannot read (found unhashable key)"),
        pytest.param(b"a: " + 5000 * b"9", "found in line 1 a value that YAML", id="long number"),
        (b"dataset: \x07", "special characters are not allowed; expected YAML."),
        (b"", "found no section; expected dataset: with images: and labels:."),
        (b"- dataset\n", "found no section; expected dataset: with images: and labels:."),
        (b"dataset: &a {x: [*a]}\n", "found too many levels, or an alias inside of what it"),
        pytest.param(b"a: " + 3000 * b"[" + 3000 * b"]", "found too many levels", id="YAML"),
        pytest.param(b'{"a":' + 99999 * b"[" + 99999 * b"]}", "found too many levels", id="JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content, sentence, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        check_readable(file)
    assert str(error.value).startswith(f"{file}: ")
    assert sentence in str(error.value)


def test_a_file_that_the_system_does_not_give_is_named(tmp_path):
    with pytest.raises(UserError, match=f"^{tmp_path}: Is a directory; expected a file that can"):
        check_readable(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["dataset: {}", '{\n\t"dataset": {}}', "\ufeffdataset: {}", "a: &a [1]\nb: [*a, {c: *a}]"],
)
def test_a_file_that_can_be_read(content, tmp_path):
    (tmp_path / "mine.yaml").write_text(content, encoding="utf-8")
    check_readable(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("--configfile a.yaml --configfile b.yaml", "--configfile"),
        ("--configfile a.yaml --configfiles b.yaml", "--configfile"),
        ("--configfile a.yaml --configfile=b.yaml", "--configfile"),
        ("--config train={epochs:3} --config split={seed:2}", "--config"),
        ("--config=train={epochs:3} -n -C split={seed:2}", "--config"),
        ("-Ctrain={epochs:3} --config split={seed:2}", "--config"),
        ("--resources gpu=0 --cores 2 --res mem_mb=8000", "--resources"),
        ("-R plan -Rdecide_run", "--forcerun"),
        ("--set-threads train_fold=2 --set-threads predict_fold=2", "--set-threads"),
    ],
)
def test_a_second_option_that_replaces_the_first_is_refused(command, option):
    with pytest.raises(UserError, match=f"^{option}: found it twice in the command"):
        check_files([], ["snakemake", *command.split()])


@pytest.mark.parametrize("command", ["--config a={b:1} c={d:2} -c 2", "-R plan --rerun-triggers"])
def test_an_option_that_stands_once_is_taken(command):
    check_files([], ["snakemake", *command.split()])


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (["train={epochs: 1, epochs: 2}"], [f"'epochs' stands twice, {LOST}"]),
        (['train={"epochs": 1, "epochs": 2}'], [f"'epochs' stands twice, {LOST}"]),
        (["runs={a: {train: {seed: 1}}, a: {}}"], [f"'a' stands twice, {LOST}"]),
        (["train={epochs: 1}", "train={epochs: 2}"], [f"'train.epochs' stands twice, {LOST}"]),
        (["train={epochs: 1}", "train=null"], [f"'train' stands twice, {LOST}"]),
        (["split={test: [010]}"], [f"YAML reads 010 as the number 8; {OTHER}"]),
        (
            ["split={seed: 1, seed: 2}", "train={batch: 1, batch: 1}"],
            [f"'seed' stands twice, {LOST}", f"'batch' stands twice, {LOST}"],
        ),
    ],
)
def test_what_would_be_lost_of_an_argument_is_named(arguments, sentences):
    with pytest.raises(UserError) as caught:
        check_files([], [], arguments)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(sentences)
    for line, sentence in zip(lines, sentences, strict=True):
        assert line.startswith(f"--config: {sentence}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["train={epochs: 1, batch: 2}", "split={seed: 1}"],
        ["train={epochs: 1}", "train={batch: 2}"],  # which Snakemake merges
        ["runs={a: &a {train: {seed: 1}}, b: *a}"],
        ["dataset={", "split="],  # for the schema to refuse
        ["dataset=&x {b: *x}"],  # as a text, which the schema refuses
    ],
)
def test_arguments_of_which_nothing_is_lost_are_taken(arguments):
    check_files([], [], arguments)


NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$(?!\n)"


@pytest.mark.parametrize(
    ("config", "files", "expected"),
    [
        ({}, ["/a/first.yaml", "/a/cells.v2.yaml"], {"dataset": {"name": "cells.v2"}}),
        ({"dataset": None}, ["cells.yaml"], {"dataset": {"name": "cells"}}),
        ({"dataset": {"name": "x"}}, ["my cells.yaml"], {"dataset": {"name": "x"}}),
        ({"dataset": 3}, ["cells.yaml"], {"dataset": 3}),
        ({}, [], {}),
    ],
)
def test_the_name_of_a_data_set_is_that_of_the_last_file(config, files, expected):
    assert with_name(config, files, NAME) == expected


@pytest.mark.parametrize("stem", ["my cells", "Gr\u00f6\u00dfe", "x" * 101])
def test_a_file_whose_name_cannot_be_that_of_a_data_set_is_named(stem):
    with pytest.raises(UserError, match=f"dataset.name: missing, and '{stem}', from {stem}.yaml"):
        with_name({}, [f"/a/{stem}.yaml"], NAME)
