"""A run and its package, each made once for the tests that read it."""

import warnings

import pytest


@pytest.fixture(scope="session")
def run(make_once):
    """The folder of a run of two folds; a logit is ``(pixel - 130) / 40 + bias``."""
    from packages import write_run  # which imports Keras

    return make_once("run of two folds", write_run)


@pytest.fixture(scope="session")
def package(run, dataset, make_once):
    """The package of that run, moved to another folder."""
    from packages import SETTINGS, TILING, inputs_of
    from saved_runs import build_small_network

    from maskmake.export.package import write_package
    from maskmake.network import saved_networks

    def write(folder):
        # What a killed job has left is no part of the next package.
        (folder / ".partial-package").mkdir(parents=True)
        (folder / ".partial-package" / "left.txt").touch()
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # it would be a line in the log
            patch.setattr(saved_networks, "build_network", build_small_network)
            write_package(inputs_of(run, dataset), SETTINGS, TILING, "a.b", folder / "package")

    return make_once("package of two folds", write) / "package"
