"""Which maskmake made a result."""

import subprocess

import pytest

from maskmake.runtime import version


def git(folder, *arguments):
    names = ["-c", "user.name=x", "-c", "user.email=x"]
    command = ["git", "-C", folder, *names, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of a user that is empty but for a file."""
    git(tmp_path, "init")
    (tmp_path / "VERSION").write_text("1")
    monkeypatch.setattr(version, "FOLDER", tmp_path)
    return tmp_path


def test_the_commit_is_that_of_the_code_and_says_whether_it_was_edited(repository):
    git(repository, "add", "VERSION")
    git(repository, "commit", "-m", "first")
    assert version.commit() == git(repository, "rev-parse", "--short", "HEAD")
    (repository / "VERSION").write_text("2")
    assert version.commit().endswith("-dirty")


def test_a_copy_in_another_repository_has_no_commit(repository):
    assert version.commit() is None


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert version.commit() is None
