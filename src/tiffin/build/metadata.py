"""Instructions that only change what the image says of itself. Pure.

Each is folded into the draft of its stage, with the history entry that Docker
would write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build import created_by
from tiffin.build.ports import parse_ports
from tiffin.build.signals import check_signal
from tiffin.dockerfile import ast
from tiffin.errors import InvalidError
from tiffin.oci.config import Healthcheck, key_set

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.draft import Draft
    from tiffin.build.scope import Expander

Verbatim = ast.Cmd | ast.Entrypoint | ast.Shell | ast.Healthcheck | ast.OnBuild | ast.Maintainer
Metadata = Verbatim | ast.Arg | ast.Env | ast.Label | ast.User | ast.Expose | ast.Volume | ast.StopSignal


class Arguments(NamedTuple):
    """Where ARG takes values from: what was given, and what stands before the first FROM or is built in."""

    given: Mapping[str, str]
    outer: Mapping[str, str]


def fold(draft: Draft, instruction: Metadata, arguments: Arguments, expander: Expander) -> None:
    """Apply `instruction` to `draft`. Raises InvalidError at the instruction."""

    def word(text: str) -> str:
        return expander.word(text, draft.variables, instruction.span, draft.declared)

    match instruction:
        case ast.Arg():
            _arg(draft, instruction, arguments, expander)
        case ast.Env():
            _env(draft, [(word(key), word(value)) for key, value in instruction.pairs], instruction)
        case ast.Label():
            _label(draft, [(word(key), word(value)) for key, value in instruction.pairs])
        case ast.User():
            _user(draft, word(instruction.user))
        case ast.Expose():
            _expose(draft, instruction, expander)
        case ast.Volume():
            _volume(draft, [word(path) for path in instruction.paths], instruction)
        case ast.StopSignal():
            _stop_signal(draft, word(instruction.signal), instruction)
        case _:
            _fold_verbatim(draft, instruction)


def _fold_verbatim(draft: Draft, instruction: Verbatim) -> None:
    """Apply an instruction in which variables are not expanded."""
    match instruction:
        case ast.Cmd():
            _cmd(draft, instruction.command)
        case ast.Entrypoint():
            _entrypoint(draft, instruction.command)
        case ast.Shell():
            draft.change(shell=instruction.arguments)
            draft.record(f"SHELL {created_by.plain(instruction.arguments)}")
        case ast.Healthcheck():
            _healthcheck(draft, instruction)
        case ast.OnBuild():
            draft.change(on_build=(*draft.config.on_build, instruction.expression))
        case ast.Maintainer():
            draft.author = instruction.name
            draft.record(f"MAINTAINER {instruction.name}")


def _arg(draft: Draft, instruction: ast.Arg, arguments: Arguments, expander: Expander) -> None:
    texts = []
    for name, default in instruction.declarations:
        if name in arguments.given:
            value: str | None = arguments.given[name]
        elif default is not None:
            value = expander.word(default, draft.variables, instruction.span, draft.declared)
        else:
            value = arguments.outer.get(name)
        draft.set_argument(name, value)
        texts.append(name if value is None else f"{name}={value}")
    draft.record(f"ARG {' '.join(texts)}")


def _env(draft: Draft, pairs: list[tuple[str, str]], instruction: ast.Env) -> None:
    for name, value in pairs:
        if not name:
            raise InvalidError(
                "the name of a variable is empty",
                code="empty-name",
                hint="write ENV NAME=VALUE",
                where=instruction.span.where,
            )
        draft.set_env(name, value)
    draft.record(" ".join(["ENV", *(f"{name}={value}" for name, value in pairs)]))


def _label(draft: Draft, pairs: list[tuple[str, str]]) -> None:
    draft.change(labels=draft.config.labels | dict(pairs))
    draft.record(" ".join(["LABEL", *(f"{key}={value}" for key, value in pairs)]))


def _user(draft: Draft, user: str) -> None:
    draft.change(user=user)
    draft.record(f"USER {user}")


def _arguments(draft: Draft, command: ast.Command) -> tuple[str, ...]:
    match command:
        case ast.ShellForm(line):
            return draft.with_shell(line)
        case ast.ExecForm(arguments):
            return arguments


def _cmd(draft: Draft, command: ast.Command) -> None:
    arguments = _arguments(draft, command)
    draft.change(cmd=arguments, args_escaped=True)
    draft.own_cmd = True
    draft.record(f"CMD {created_by.quoted(arguments)}")


def _entrypoint(draft: Draft, command: ast.Command) -> None:
    arguments = _arguments(draft, command)
    draft.change(entrypoint=arguments)
    if not draft.own_cmd:  # an inherited one was meant for another program
        draft.change(cmd=None)
    draft.record(f"ENTRYPOINT {created_by.quoted(arguments)}")


def _expose(draft: Draft, instruction: ast.Expose, expander: Expander) -> None:
    ports = []
    for text in sorted(instruction.ports):
        for word in expander.words(text, draft.variables, instruction.span):
            try:
                ports += parse_ports(word)
            except InvalidError as error:
                error.where = instruction.span.where
                raise
    draft.change(exposed_ports=draft.config.exposed_ports | key_set(ports))
    draft.record(f"EXPOSE {created_by.plain(ports)}")


def _volume(draft: Draft, paths: list[str], instruction: ast.Volume) -> None:
    if "" in paths:
        raise InvalidError(
            "a path of VOLUME is empty",
            code="empty-path",
            where=instruction.span.where,
            hint="write VOLUME /path",
        )
    draft.change(volumes=draft.config.volumes | key_set(paths))
    draft.record(f"VOLUME {created_by.plain(paths)}")


def _stop_signal(draft: Draft, signal: str, instruction: ast.StopSignal) -> None:
    try:
        check_signal(signal)
    except InvalidError as error:
        error.where = instruction.span.where
        raise
    draft.change(stop_signal=signal)
    draft.record(f"STOPSIGNAL {signal}")


def _healthcheck(draft: Draft, instruction: ast.Healthcheck) -> None:
    check = Healthcheck(
        _test(instruction.command),
        instruction.interval,
        instruction.timeout,
        instruction.start_period,
        instruction.start_interval,
        instruction.retries,
    )
    draft.change(healthcheck=check)
    draft.record(created_by.healthcheck(check))


def _test(command: ast.Command | None) -> tuple[str, ...]:
    match command:
        case None:
            return ("NONE",)
        case ast.ShellForm(line):
            return ("CMD-SHELL", line)
        case ast.ExecForm(arguments):
            return ("CMD", *arguments)
