"""One instruction's words → its value, for each instruction. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from tiffin.dockerfile import ast
from tiffin.dockerfile.duration import parse_duration
from tiffin.dockerfile.expand import expand
from tiffin.dockerfile.mounts import parse_mount
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.dockerfile.words import SPACE, Word, quoted_words

if TYPE_CHECKING:
    from tiffin.dockerfile.flags import Flags
    from tiffin.dockerfile.statement import Statement

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*\Z")
_KEY_AND_REST = re.compile("([^\t\v\f\r ]*)[\t\v\f\r ]+(.*)", re.DOTALL)
_SHORTEST = 1_000_000  # a millisecond, below which Docker takes no duration
_MOST_RETRIES = (1 << 31) - 1


def from_(statement: Statement, flags: Flags) -> ast.From:
    """FROM."""
    words = statement.words()
    name = None
    if len(words) == 3 and words[1].text.upper() == "AS":
        name = words[2].text.lower()
        if not _STAGE_NAME.match(name):
            raise statement.error(
                f"invalid name of a stage: {words[2].text}",
                words[2],
                "it begins with a letter and goes on with letters, digits, _, - and .",
            )
    elif len(words) != 1:
        raise statement.error(
            "FROM takes an image, or an image, AS and a name",
            words[1] if len(words) > 1 else None,
            "write FROM IMAGE or FROM IMAGE AS NAME",
        )
    return ast.From(statement.span, statement.text, words[0].text, name, flags.value("platform"))


def arg(statement: Statement, _flags: Flags) -> ast.Arg:
    """ARG."""
    declarations = []
    for word in _quoted(statement):
        name, equals, default = word.text.partition("=")
        if not name:
            raise statement.error("a name of ARG is empty", word, "write ARG NAME or ARG NAME=DEFAULT")
        declarations.append(ast.Declaration(name, default if equals else None))
    if not declarations:
        raise statement.missing("a name", "write ARG NAME or ARG NAME=DEFAULT")
    return ast.Arg(statement.span, statement.text, tuple(declarations))


def env(statement: Statement, _flags: Flags) -> ast.Env:
    """ENV."""
    return ast.Env(statement.span, statement.text, *_pairs(statement))


def label(statement: Statement, _flags: Flags) -> ast.Label:
    """LABEL."""
    return ast.Label(statement.span, statement.text, *_pairs(statement))


def _quoted(statement: Statement) -> list[Word]:
    return quoted_words(statement.line.text, statement.escape, statement.head.rest, statement.head.end)


def _pairs(statement: Statement) -> tuple[tuple[ast.Pair, ...], bool]:
    """Return keys and values, and whether they are written in the old form."""
    words = _quoted(statement)
    form = f"write {statement.keyword} KEY=VALUE"
    if not words:
        raise statement.missing("a key and a value", form)
    if "=" not in words[0].text:  # the old form: one key, and the rest of the line is its value
        match = _KEY_AND_REST.match(statement.arguments)
        if match is None:
            raise statement.error(f"{statement.keyword} {words[0].text} has no value", words[0], form)
        return (ast.Pair(match[1], match[2]),), True
    pairs = []
    for word in words:
        key, equals, value = word.text.partition("=")
        if not equals:
            raise statement.error(f"there is no = in {word.text}", word, f"{form}, with quotes around blanks")
        if not key:
            raise statement.error(f"a key of {statement.keyword} is empty", word, form)
        pairs.append(ast.Pair(key, value))
    return tuple(pairs), False


def run(statement: Statement, flags: Flags) -> ast.Run:
    """RUN."""
    command = statement.command()
    if command == ast.ExecForm(()):
        raise statement.missing("a command")
    mounts = []
    for value, word in flags.values("mount"):
        with statement.pointing_at(word):
            parse_mount(value)
        mounts.append(ast.MountFlag(value, statement.line.span(word.start, word.end)))
    network = _one_of(statement, flags, "network", ("default", "none", "host"))
    security = _one_of(statement, flags, "security", ("sandbox", "insecure"))
    marks = statement.line.marks
    return ast.Run(
        statement.span,
        statement.text,
        command,
        statement.line.documents,
        len(marks) == 1 and (marks[0].start, marks[0].end) == (statement.head.rest, statement.head.end),
        tuple(mounts),
        cast("ast.Network | None", network),
        cast("ast.Security | None", security),
        tuple(_device(statement, value, word) for value, word in flags.values("device")),
    )


def _one_of(statement: Statement, flags: Flags, name: str, choices: tuple[str, ...]) -> str | None:
    for value, word in flags.values(name):
        if value not in choices:
            hint = did_you_mean(value, choices, f"it is {' or '.join(choices)}")
            raise statement.error(f"unknown value {value!r} of --{name}", word, hint)
    return flags.value(name)


def _device(statement: Statement, text: str, word: Word) -> ast.Device:
    name = ""
    required = False
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if key.lower() == "required" and (not equals or value in ("true", "false", "1", "0")):
            required = value not in ("false", "0")
        elif key.lower() == "name" and equals and not name:
            name = value
        elif not name:
            name = field  # CDI names are VENDOR/CLASS=NAME
        else:
            raise statement.error(f"unknown option {field!r} of --device", word, "it has name= and required")
    if not name:
        raise statement.error("--device names no device", word, "write --device=VENDOR/CLASS=NAME")
    return ast.Device(name, required)


def _transfer(statement: Statement, flags: Flags) -> ast.Transfer:
    items = statement.array()
    words, documents = ([], []) if items is not None else statement.document_words()
    if documents and (not words or words[-1].start < documents[-1][0].start):
        last = documents[-1][0]
        raise statement.error(
            "a here-document cannot be the destination", last, f"{statement.keyword} <<NAME … DESTINATION"
        )
    paths = [word.text for word in words] if items is None else list(items)
    if len(paths) + len(documents) < 2:
        raise statement.missing(
            "at least two arguments: what to copy, and the destination" if not paths else "a destination",
            f"write {statement.keyword} SOURCE … DESTINATION",
        )
    return ast.Transfer(
        tuple(paths[:-1]),
        tuple(document for _, document in documents),
        paths[-1],
        flags.value("chown"),
        flags.value("chmod"),
        bool(flags.switch("link")),
        tuple(value for value, _ in flags.values("exclude")),
    )


def copy(statement: Statement, flags: Flags) -> ast.Copy:
    """COPY."""
    for value, word in flags.values("from"):
        with statement.pointing_at(word):
            same = expand(value, {}, escape=statement.escape).text == value
        if not same:
            raise statement.error(
                "variables are not expanded in --from",
                word,
                "make a stage with FROM $… AS name and name that",
            )
    transfer = _transfer(statement, flags)
    origin = flags.value("from") or None
    return ast.Copy(statement.span, statement.text, transfer, origin, bool(flags.switch("parents")))


def add(statement: Statement, flags: Flags) -> ast.Add:
    """ADD."""
    return ast.Add(
        statement.span,
        statement.text,
        _transfer(statement, flags),
        flags.value("checksum"),
        flags.switch("keep-git-dir"),
        flags.switch("unpack"),
    )


def _rest(statement: Statement, what: str) -> str:
    if not statement.arguments:
        raise statement.missing(what)
    return statement.arguments


def workdir(statement: Statement, _flags: Flags) -> ast.Workdir:
    """WORKDIR."""
    return ast.Workdir(statement.span, statement.text, _rest(statement, "a directory"))


def user(statement: Statement, _flags: Flags) -> ast.User:
    """USER."""
    return ast.User(statement.span, statement.text, _rest(statement, "a user"))


def stop_signal(statement: Statement, _flags: Flags) -> ast.StopSignal:
    """STOPSIGNAL."""
    return ast.StopSignal(statement.span, statement.text, _rest(statement, "a signal"))


def maintainer(statement: Statement, _flags: Flags) -> ast.Maintainer:
    """MAINTAINER."""
    return ast.Maintainer(statement.span, statement.text, _rest(statement, "a name"))


def cmd(statement: Statement, _flags: Flags) -> ast.Cmd:
    """CMD."""
    return ast.Cmd(statement.span, statement.text, statement.command())


def entrypoint(statement: Statement, _flags: Flags) -> ast.Entrypoint:
    """ENTRYPOINT."""
    return ast.Entrypoint(statement.span, statement.text, statement.command())


def shell(statement: Statement, _flags: Flags) -> ast.Shell:
    """SHELL."""
    items = statement.array()
    if not items:
        raise statement.missing("a JSON array of strings", 'write SHELL ["/bin/bash", "-c"]')
    return ast.Shell(statement.span, statement.text, items)


def expose(statement: Statement, _flags: Flags) -> ast.Expose:
    """EXPOSE."""
    ports = tuple(word.text for word in statement.words())
    if not ports:
        raise statement.missing("a port")
    return ast.Expose(statement.span, statement.text, ports)


def volume(statement: Statement, _flags: Flags) -> ast.Volume:
    """VOLUME."""
    items = statement.array()
    paths = items if items is not None else tuple(word.text for word in statement.words())
    if not paths:
        raise statement.missing("a path")
    if "" in paths:
        raise statement.error("a path of VOLUME is empty")
    return ast.Volume(statement.span, statement.text, paths)


def healthcheck(statement: Statement, flags: Flags) -> ast.Healthcheck:
    """HEALTHCHECK."""
    words = statement.words()
    form = "write HEALTHCHECK CMD … or HEALTHCHECK NONE"
    if not words:
        raise statement.missing("CMD or NONE", form)
    kind = words[0].text.upper()
    numbers = (
        _interval(statement, flags, "interval"),
        _interval(statement, flags, "timeout"),
        _interval(statement, flags, "start-period"),
        _interval(statement, flags, "start-interval"),
        _retries(statement, flags),
    )
    if kind == "NONE":
        if len(words) > 1:
            raise statement.error("HEALTHCHECK NONE takes no arguments", words[1])
        return ast.Healthcheck(statement.span, statement.text, None)
    if kind != "CMD":
        raise statement.error(
            f"unknown kind of HEALTHCHECK: {words[0].text}",
            words[0],
            did_you_mean(kind, ("CMD", "NONE"), form),
        )
    start = words[0].end
    while start < statement.head.end and statement.line.text[start] in SPACE:
        start += 1
    command = statement.command(start)
    if command in (ast.ExecForm(()), ast.ShellForm("")):
        raise statement.missing("a command after CMD")
    return ast.Healthcheck(statement.span, statement.text, command, *numbers)


def _interval(statement: Statement, flags: Flags, name: str) -> int:
    duration = 0
    for value, word in flags.values(name):
        with statement.pointing_at(word):
            duration = parse_duration(value) if value else 0
        if duration and duration < _SHORTEST:
            raise statement.error(f"--{name} is less than a millisecond: {value}", word)
    return duration


def _retries(statement: Statement, flags: Flags) -> int:
    for value, word in flags.values("retries"):
        digits = value.removeprefix("+")
        if not digits:
            continue
        if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) > _MOST_RETRIES:
            raise statement.error(f"invalid number of retries: {value}", word, "it is a number, 0 or more")
        return int(digits)
    return 0
