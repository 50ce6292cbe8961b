"""How to start one of our modules in a Python with nothing loaded: no site, no third party."""

from __future__ import annotations

import os
import sys

_SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def command(module: str, function: str = "main") -> list[str]:
    """Return the command that calls a function of one of our modules; its `sys.argv[1:]` may follow."""
    start = f"import sys; sys.path.insert(0, {_SOURCE!r}); from {module} import {function}; {function}()"
    return [sys.executable, "-IS", "-c", start]


def environment() -> dict[str, str]:
    """Return what such a process keeps of the environment: where to find tools, and where to put sockets."""
    kept = ("PATH", "XDG_RUNTIME_DIR", "TMPDIR", "TIFFIN_DEBUG")
    return {name: os.environ[name] for name in kept if name in os.environ}
