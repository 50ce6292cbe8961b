"""An engine that only remembers what it was asked for, in the place of the real one."""

import io
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import pytest

from tiffin.cli.main import main


class FakeEngine:
    """Answers by name of module and function; every call is kept."""

    def __init__(self, monkeypatch) -> None:
        self.calls = []
        self.emit = None
        self._monkeypatch = monkeypatch
        settings = SimpleNamespace(load=self._load)
        self.module("tiffin.engine.settings", Settings=settings, real_name=lambda _engine, name: name)
        self.module("tiffin.engine.engine", Engine=SimpleNamespace(open=self._open))
        self.opened = SimpleNamespace(rung=SimpleNamespace(value="root"))

    def module(self, path, **names):
        """Put a module with these names in the place of the one at `path`."""
        fake = ModuleType(path)
        fake.__dict__.update(names)
        self._monkeypatch.setitem(sys.modules, path, fake)

    def answers(self, module, **results):
        """Let functions of an engine module give or raise these results, or what a function gives."""
        names = {name: self._function(name, result) for name, result in results.items()}
        requests = {f"{kind}Request": SimpleNamespace for kind in ("Build", "Run", "Exec", "Prune")}
        self.module(f"tiffin.engine.{module}", **requests, **names)

    def _function(self, name, result):
        def answer(_engine, *arguments, **options):
            self.calls.append((name, *arguments, options) if options else (name, *arguments))
            found = result(*arguments, **options) if callable(result) else result
            if isinstance(found, Exception):
                raise found
            return found

        return answer

    def _load(self, environ, **overrides):
        self.calls.append(("settings", overrides))
        return SimpleNamespace(home=SimpleNamespace(root="/var/lib/tiffin"), environ=environ, **overrides)

    def _open(self, _settings, *, emit):
        self.emit = emit
        return nullcontext(self.opened)


@pytest.fixture
def engine(monkeypatch):
    return FakeEngine(monkeypatch)


@pytest.fixture
def tiffin(capsys, monkeypatch):
    """Runs a command line in this process: status, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("TIFFIN_DEBUG", "TIFFIN_PROGRESS", "BUILDKIT_PROGRESS", "TIFFIN_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run(*words):
        status = main(words)
        captured = capsys.readouterr()
        return SimpleNamespace(status=status, out=captured.out, err=captured.err)

    return run


class Stdin(io.TextIOWrapper):
    def __init__(self, data=b"", *, terminal=False) -> None:
        super().__init__(io.BytesIO(data))
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def stdin(monkeypatch):
    def put(data=b"", *, terminal=False):
        monkeypatch.setattr(sys, "stdin", Stdin(data, terminal=terminal))

    return put
