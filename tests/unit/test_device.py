"""The choice of backend, made in a process of its own since Keras is imported only once."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


@pytest.mark.skipif(importlib.util.find_spec("jax") is not None, reason="JAX is installed")
def test_a_backend_that_is_not_installed_is_named(tmp_path):
    program = """
import sys
from maskmake.device import select_device
from maskmake.log import UserError
try:
    select_device("jax", 0, sys.argv[1])
except UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("train.backend: jax, but No module named 'jax'"), done.stderr
    assert "set train.backend to tensorflow" in done.stdout
