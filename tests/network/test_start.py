"""A supervisor waits as long as its container runs: what it loads for its network stays small."""

import subprocess
import sys
from pathlib import Path

import pytest

import tiffin.network

ROOM = Path(tiffin.network.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_the_room_loads_typing_or_third_parties(module):
    code = f"import sys; sys.path.insert(0, {str(ROOM.parents[1])!r}); import tiffin.network.{module}; "
    command = [sys.executable, "-IS", "-c", f"{code} print(*sys.modules)"]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert f"tiffin.network.{module}" in loaded
    assert not loaded & {"typing", "msgspec", "subprocess", "dataclasses"}
