"""What is parsed of a file is kept for the next commands, and never needed."""

import os

import pytest

from maskmake.snakefile import parsed_code as module
from maskmake.snakefile.parsed_code import ParsedCode, keep_parsed_code, parsed_code

SOURCE = (
    b'"""Prose."""\nimport os\nfrom maskmake.data import tables as t, splits\nNAME = "a.html.j2"\n'
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's folder for caches, empty, and a process that has parsed nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_unsaved", [])
    module._known.cache_clear()
    yield tmp_path / "cache"
    module._known.cache_clear()


def next_command(monkeypatch):
    """Keep what was parsed, and begin as a new process that cannot parse."""
    keep_parsed_code()
    module._known.cache_clear()
    monkeypatch.setattr(module, "_parse", lambda source: pytest.fail("parsed again"))


def test_imports_templates_and_code_are_found():
    found = parsed_code(SOURCE)
    assert sorted(found.imports) == [("maskmake.data", ["tables", "splits"]), ("os", [])]
    assert found.templates == ["a.html.j2"]
    assert found.digest == parsed_code(b"# Other prose.\n" + SOURCE).digest
    assert found.digest != parsed_code(SOURCE + b"pass\n").digest


def test_the_next_command_parses_nothing_again(monkeypatch):
    before = parsed_code(SOURCE)
    next_command(monkeypatch)
    after = parsed_code(SOURCE)
    assert after.digest == before.digest and after.templates == before.templates
    assert [tuple(found) for found in after.imports] == before.imports
    with pytest.raises(pytest.fail.Exception, match="parsed again"):
        parsed_code(SOURCE + b"pass\n")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}', '{"a": [1]}'])
def test_a_damaged_file_is_made_again(content, cache):
    before = parsed_code(SOURCE)
    keep_parsed_code()
    (file,) = (cache / "maskmake").iterdir()
    file.write_text(content)
    module._known.cache_clear()
    assert parsed_code(SOURCE) == before


def test_without_a_folder_the_files_are_parsed(cache):
    cache.write_text("in the way")
    found = parsed_code(SOURCE)
    assert isinstance(found, ParsedCode)
    keep_parsed_code()
    assert cache.read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give a folder away")
def test_what_another_user_can_write_is_not_read(cache):
    before = parsed_code(SOURCE)
    keep_parsed_code()
    (file,) = (cache / "maskmake").iterdir()
    file.write_text(file.read_text().replace(before.digest, "00000000"))
    os.chown(cache / "maskmake", 65534, -1)
    module._known.cache_clear()
    assert parsed_code(SOURCE) == before


def test_no_more_files_are_kept_than_a_limit(monkeypatch, cache):
    monkeypatch.setattr(module, "MOST_FILES", 3)
    for number in range(4):
        parsed_code(b"%d" % number)
        keep_parsed_code()
    module._known.cache_clear()
    assert len(module._known()) == 1
