"""What a command is: its options, its words, its texts, and the function that does it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from tiffin.cli.options import Arguments, Option
    from tiffin.engine.engine import Engine
    from tiffin.engine.settings import Settings
    from tiffin.errors import TiffinError
    from tiffin.events import Emit
    from tiffin.ui.later import Later
    from tiffin.ui.progress import Mode
    from tiffin.ui.reporter import Reporter

MANY = 1_000_000


class Command:
    """A verb. `least` and `most` bound its words; `wraps` says that its words are another command's.

    `passes_status` marks verbs like `run`, whose own failures exit with 125
    since every other status may be the container's.
    """

    __slots__ = (
        "description",
        "examples",
        "least",
        "most",
        "names",
        "options",
        "passes_status",
        "run",
        "usage",
        "wraps",
    )

    def __init__(  # noqa: PLR0913 - a value whose fields are mostly left at their defaults
        self,
        usage: str,
        run: Callable[[Session, Arguments], int],
        *,
        options: Sequence[Option] = (),
        words: tuple[int, int] = (0, 0),
        description: str = "",
        examples: Sequence[str] = (),
        names: str = "",
        wraps: bool = False,
        passes_status: bool = False,
    ) -> None:
        self.usage = usage
        self.run = run
        self.options = tuple(options)
        self.least, self.most = words
        self.description = description
        self.examples = tuple(examples)
        self.names = names
        self.wraps = wraps
        self.passes_status = passes_status


class Session:
    """Where a command reads and writes, and how it gets at the engine."""

    __slots__ = ("environ", "overrides", "path", "stderr", "stdin", "stdout")

    def __init__(
        self, path: str, overrides: Mapping[str, str], environ: Mapping[str, str] = os.environ
    ) -> None:
        self.path = path
        self.overrides = dict(overrides)
        self.environ = environ
        self.stdin: TextIO = sys.stdin
        self.stdout: TextIO = sys.stdout
        self.stderr: TextIO = sys.stderr

    def settings(self) -> Settings:
        """The settings of this process: file, environment, global options."""
        from tiffin.engine.settings import Settings

        home = self.overrides.get("home")
        root = None
        if home is not None:
            from pathlib import Path

            root = Path(home).absolute()
        environ = self.environ
        policy = self.overrides.get("signature-policy")
        if policy is not None:
            environ = {**environ, "TIFFIN_SIGNATURE_POLICY": policy}
        if "offline" in self.overrides:
            environ = {**environ, "TIFFIN_OFFLINE": self.overrides["offline"]}
        return Settings.load(environ, isolation=self.overrides.get("isolation"), root=root)

    def engine(self, emit: Emit | None = None) -> AbstractContextManager[Engine]:
        """The engine, opened; `emit` gets its events, and without it only notices are shown."""
        from tiffin.engine.engine import Engine

        opened = Engine.open(self.settings(), emit=emit or self.notices)
        opened.base_maker = _make_base
        return opened

    def notices(self, event: object) -> None:
        """Show the warnings among the events of a command that shows no progress."""
        from tiffin.events import Notice
        from tiffin.ui.diagnostic import colours, notice

        if isinstance(event, Notice):
            colour = colours(self.stderr, self.environ)
            self.stderr.write(notice(event, colour=colour) + "\n")

    def reporter(self, mode: Mode = "auto") -> Reporter:
        """Progress on standard error."""
        from tiffin.ui.progress import open_reporter

        return open_reporter(mode, self.stderr, self.environ)

    def later_reporter(self, mode: Mode = "auto") -> Later:
        """The same, opened by the first event: for commands that mostly have nothing to report."""
        from tiffin.ui.later import Later

        return Later(lambda: self.reporter(mode))

    def print(self, line: str = "") -> None:
        """A line of the result."""
        self.stdout.write(line + "\n")

    def each(self, names: Sequence[str], act: Callable[[str], object]) -> int:
        """Do `act` for every name and print what it returns; a failure does not stop the rest."""
        from tiffin.errors import TiffinError

        failures: list[TiffinError] = []
        for name in names:
            try:
                result = act(name)
            except TiffinError as error:
                failures.append(error)
                continue
            for line in _lines(result):
                self.print(line)
        self.stdout.flush()
        return self.report(failures)

    def show(self, error: TiffinError) -> None:
        """Show a failure that does not end the command."""
        from tiffin.ui.diagnostic import colours, render

        for line in render(error, colour=colours(self.stderr, self.environ)):
            self.stderr.write(line + "\n")

    def report(self, failures: Sequence[Exception]) -> int:
        """Show all failures but the last, and raise that one; 0 if there are none."""
        from tiffin.errors import TiffinError

        for error in failures[:-1]:
            assert isinstance(error, TiffinError)
            self.show(error)
        if failures:
            raise failures[-1]
        return 0

    def confirm(self, warning: str) -> bool:
        """Whether the user agrees to something that cannot be undone; no answer is a no."""
        self.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
        self.stdout.flush()
        answer = self.stdin.readline()
        if not answer.endswith("\n"):
            self.print()
        return answer.strip().lower() in ("y", "yes")


def _lines(result: object) -> Iterator[str]:
    if isinstance(result, str):
        yield result
    elif isinstance(result, list | tuple):
        yield from (str(line) for line in result)


def _make_base(engine: Engine, suite: str, name: str, *, python: bool, build: bool) -> None:
    """Make a base from packages, which an alias asks for."""
    from tiffin.base.order import BaseOrder, make_base

    make_base(engine, BaseOrder(suite, (name,), "build" if build else "runtime", python=python))
