"""The outline of a target: the arguments, secrets and SSH agents that a build of it can be given. Pure.

It watches while the target is planned, so it tells of what is needed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile import ast
from tiffin.dockerfile.expand import expand
from tiffin.dockerfile.mounts import SecretMount, SshMount, parse_mount
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.draft import Draft
    from tiffin.build.needs import Planned
    from tiffin.build.stages import StageEntry
    from tiffin.dockerfile.source import Span


class Argument(NamedTuple):
    """A build argument with the value that it has now, and what a comment above it says."""

    name: str
    value: str
    description: str
    span: Span


class Loan(NamedTuple):
    """A secret or an agent that steps mount."""

    name: str
    required: bool
    span: Span


class Outline(NamedTuple):
    """What a build of the stage `name` can be given, in the order of its lines."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[Loan, ...]
    ssh: tuple[Loan, ...]


class _Recording(dict[str, str]):
    """Variables that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


class OutlineWatcher:
    """Gathers an outline; `given` are the arguments of the command line, `built_in` those that are there."""

    def __init__(
        self, dockerfile: ast.Dockerfile, given: Mapping[str, str], built_in: Mapping[str, str]
    ) -> None:
        self._dockerfile = dockerfile
        self._given = given
        self._escape = dockerfile.directives.escape
        self._needs: dict[str, set[str]] = {}
        self._globals: dict[str, Argument] = {}
        self._values = dict(built_in)
        self._read_globals()
        self._found: list[dict[str, Argument]] = []
        self._own: dict[str, Argument] = {}
        self._secrets: dict[str, Loan] = {}
        self._ssh: dict[str, Loan] = {}
        self._last: StageEntry | None = None

    def _read_globals(self) -> None:
        for instruction in self._dockerfile.arguments:
            for name, default in instruction.declarations:
                value, self._needs[name] = self._expanded(default or "", self._values)
                value = self._given.get(name, value)
                if default is not None or name in self._given:
                    self._values[name] = value
                self._globals[name] = self._argument(name, value, instruction.span)

    def _argument(self, name: str, value: str, span: Span) -> Argument:
        return Argument(name, value, self._dockerfile.description(span.line, name), span)

    def _expanded(self, text: str, variables: Mapping[str, str]) -> tuple[str, set[str]]:
        recording = _Recording(variables)
        try:
            return expand(text, recording, escape=self._escape).text, recording.asked
        except InvalidError:
            return text, recording.asked  # the planner says so

    def begin(self, planned: Planned) -> None:
        """Take in what the FROM of the next stage asks for."""
        self._last = planned.entry
        self._own = {}
        self._found.append(self._own)
        start = planned.entry.stage.start
        _, asked = self._expanded(f"{start.base} {start.platform or ''}", self._values)
        for name in asked:
            self._use_global(name)

    def _use_global(self, name: str) -> None:
        argument = self._globals.get(name)
        if argument is None or name in self._own:
            return
        self._own[name] = argument
        for below in self._needs[name]:
            self._use_global(below)

    def see(self, draft: Draft, instruction: ast.Instruction, span: Span) -> None:
        """Take in what `instruction` asks for."""
        match instruction:
            case ast.Arg():
                for name, default in instruction.declarations:
                    self._declared(draft, name, default, span)
            case ast.Run():
                for flag in instruction.mounts:
                    self._mount(draft, flag)
            case _:
                pass

    def _declared(self, draft: Draft, name: str, default: str | None, span: Span) -> None:
        if name in self._given:
            self._own[name] = self._argument(name, self._given[name], span)
        elif default is not None:
            self._own[name] = self._argument(name, self._expanded(default, draft.variables)[0], span)
        elif name in self._values:
            self._use_global(name)
        else:
            self._own[name] = self._argument(name, "", span)

    def _mount(self, draft: Draft, flag: ast.MountFlag) -> None:
        try:
            mount = parse_mount(flag.text, lambda text: self._expanded(text, draft.variables)[0])
        except InvalidError:
            return
        if isinstance(mount, SecretMount):
            _keep(self._secrets, mount.id, flag.span, required=mount.required)
        elif isinstance(mount, SshMount):
            _keep(self._ssh, mount.id or "default", flag.span, required=mount.required)

    def outline(self) -> Outline:
        """Return what was gathered; of an argument that several stages declare, the last one's."""
        assert self._last is not None
        arguments: dict[str, Argument] = {}
        for found in self._found:
            arguments |= found
        start = self._last.stage.start
        name = start.name or ""
        return Outline(
            name,
            self._dockerfile.description(start.span.line, name) if name else "",
            tuple(sorted(arguments.values(), key=lambda each: each.span.line)),
            tuple(self._secrets.values()),
            tuple(self._ssh.values()),
        )


def _keep(loans: dict[str, Loan], name: str, span: Span, *, required: bool) -> None:
    earlier = loans.get(name, Loan(name, required, span))
    loans[name] = earlier._replace(required=required or earlier.required)
