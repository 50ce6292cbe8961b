import re
from pathlib import Path

import tiffin
from tiffin.engine.request import RunRequest


def test_nothing_that_was_asked_for_is_forgotten():
    # Every field of the request is read where containers are made or run; `prepared` only compares them.
    folder = Path(tiffin.__file__).parent / "engine"
    makers = [path for path in folder.glob("*.py") if path.name not in ("request.py", "prepared.py")]
    read = set(re.findall(r"\brequest\.(\w+)", "\n".join(path.read_text() for path in makers)))
    assert set(RunRequest._fields) <= read
