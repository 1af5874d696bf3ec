"""Variables of a user's environment that would end Snakemake without a sentence."""

import os
import sys
from pathlib import Path

import pytest

from maskmake.runtime.errors import UserError
from maskmake.snakefile.environment import (
    check_cache_folder,
    check_path,
    leave_out_other_packages,
)


def test_folders_with_other_copies_of_packages_are_left_out(tmp_path, monkeypatch):
    for name in ("a/numpy/__init__.py", "b/mine.py", "c/yaml.py", "d/pandas/data.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folders = [str(tmp_path / name) for name in "abcd"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*folders, "", "missing"]))
    monkeypatch.setattr(sys, "path", [*folders, *sys.path])
    sentences = leave_out_other_packages()
    assert sentences == [
        f"PYTHONPATH: {folder} has other copies of {name} than {sys.prefix}; it is left out."
        for folder, name in ((folders[0], "numpy"), (folders[2], "yaml"))
    ]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [folders[1], folders[3], "missing"]
    assert sys.path[:2] == [folders[1], folders[3]]
    assert leave_out_other_packages() == []


@pytest.mark.parametrize(
    "variables",
    [
        {"XDG_CACHE_HOME": "{folder}/file"},
        {"XDG_CACHE_HOME": "{folder}/file/deep"},
        {"XDG_CACHE_HOME": "", "HOME": "{folder}/file"},
        {"XDG_CACHE_HOME": "relative", "HOME": "/proc/none"},
    ],
)
def test_a_folder_for_caches_that_cannot_be_used_is_named(variables, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(folder=tmp_path))
    with pytest.raises(UserError, match="expected a folder for caches that can be written to"):
        check_cache_folder()


def test_a_folder_for_caches_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    check_cache_folder()
    assert (tmp_path / "new").is_dir()


def test_only_braces_in_a_path_are_refused():
    check_path(Path("my folder (ä)/maskmake"))
    with pytest.raises(UserError, match="found a brace in the path of maskmake"):
        check_path(Path("{me}/maskmake"))
