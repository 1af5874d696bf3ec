"""The folder for caches is the user's alone, and in the home where nothing else is said."""

import pytest

from maskmake.runtime.cache_folder import private_folder


def test_the_folder_is_the_users_alone(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert private_folder() == cache / "maskmake"
    assert (cache / "maskmake").stat().st_mode & 0o777 == 0o700
    (cache / "maskmake").chmod(0o777)
    assert private_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("value", ["", "relative"])
def test_without_an_absolute_folder_for_caches_it_is_in_the_home(value, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert private_folder() == tmp_path / ".cache/maskmake"
