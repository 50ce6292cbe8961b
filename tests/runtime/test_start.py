"""The modules that start containers load little, since what they load is the time that a start takes."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = {
    "typing",
    "json",
    "re",
    "enum",
    "socket",
    "signal",
    "subprocess",
    "pathlib",
    "dataclasses",
    "contextlib",
}


def loaded(module):
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import {module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", ["launch", "exec", "step_process", "init"])
def test_only_what_is_needed_is_loaded(module):
    modules = loaded(f"tiffin.runtime.{module}")
    assert not HEAVY & modules
    assert not {name for name in modules if name.startswith("msgspec")}
    assert "tiffin.errors" not in modules
