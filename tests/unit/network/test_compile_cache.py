"""Where compiled code is kept: with the user alone, apart for each device, and never needed."""

import os

import pytest

from maskmake.network import compile_cache
from maskmake.network.compile_cache import keep_compiled
from maskmake.runtime.cache_folder import private_folder
from maskmake.runtime.errors import UserError
from maskmake.runtime.gpus import Gpu

VARIABLES = ("JAX_COMPILATION_CACHE_DIR", "XLA_FLAGS", "TF_XLA_FLAGS")
SMALLEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
CARD = Gpu("GPU-1", 9.0, "580.1", "NVIDIA X1")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's folder for caches, and the variables of the backends, none of them set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (*VARIABLES, SMALLEST):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(compile_cache, "visible_gpus", lambda: [CARD])
    return tmp_path / "cache"


def kept():
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give a folder away")
def test_the_folder_of_another_user_is_refused_and_the_job_goes_on(cache, caplog, monkeypatch):
    monkeypatch.setattr(compile_cache.logger, "propagate", True)
    os.chown(private_folder(), 65534, -1)
    with pytest.raises(UserError, match="belongs to user 65534, who could run code in this job"):
        private_folder()
    keep_compiled("jax", 1)
    assert kept() == {}
    (record,) = caplog.records
    assert "set XDG_CACHE_HOME to a folder of your own; going on without" in record.getMessage()


def test_where_no_folder_can_be_made_the_job_goes_on(cache, caplog, monkeypatch):
    monkeypatch.setattr(compile_cache.logger, "propagate", True)
    cache.write_text("a file is in the way")
    keep_compiled("tensorflow", 1)
    assert kept() == {}
    assert len(caplog.records) == 1


def test_each_backend_is_told_the_folder(cache):
    keep_compiled("torch", 1)
    keep_compiled("tensorflow", 0)
    assert kept() == {} and not cache.exists(), "they compile nothing"
    keep_compiled("jax", 0)
    keep_compiled("tensorflow", 1)
    jax, tensorflow = sorted((cache / "maskmake").iterdir())
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(jax)
    assert os.environ[SMALLEST] == "0", "programs of any size are kept"
    assert os.environ["XLA_FLAGS"].endswith(f'{compile_cache.AUTOTUNE_FLAG}="{tensorflow}"')
    assert os.environ["TF_XLA_FLAGS"].endswith(f'{compile_cache.TENSORFLOW_FLAG}="{tensorflow}"')


def test_a_folder_of_the_user_stays(cache, monkeypatch):
    own = {name: f"{flag}=/mine" for name, flag in zip(VARIABLES, ("", "", ""), strict=True)}
    own["XLA_FLAGS"] = f"--other {compile_cache.AUTOTUNE_FLAG}=/mine"
    own["TF_XLA_FLAGS"] = f"{compile_cache.TENSORFLOW_FLAG}=/mine"
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    keep_compiled("jax", 1)
    keep_compiled("tensorflow", 1)
    assert kept() == own and not cache.exists()


@pytest.mark.parametrize("change", [{"name": "NVIDIA X2"}, {"driver": "590.1"}])
def test_another_card_or_driver_has_another_folder(change, cache, monkeypatch):
    keep_compiled("tensorflow", 1)
    monkeypatch.delenv("TF_XLA_FLAGS")
    monkeypatch.setattr(compile_cache, "visible_gpus", lambda: [CARD._replace(**change)])
    keep_compiled("tensorflow", 1)
    assert len(list((cache / "maskmake").iterdir())) == 2
