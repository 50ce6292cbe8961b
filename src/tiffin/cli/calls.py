"""`tiffin build --call` and `--check`: ask something of a Dockerfile, and print the answer as buildx does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.booleans import EITHER, TRUE
from tiffin.cli.buildflags import CALLS
from tiffin.cli.options import usage
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.build.outline import Outline
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.building.calls import Checked, Outlined, Targets
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine

ALIASES = {"lint": "check"}


class Call(NamedTuple):
    """What is asked: the method, whether the answer is to be JSON, and whether findings change the status."""

    method: str
    json: bool = False
    ignore_status: bool = False


def read_call(arguments: Arguments, path: str) -> Call:
    """Return what `--call` and `--check` ask for. Raises InvalidError for what they cannot mean."""
    text = arguments.text("call") or "build"
    try:
        call = parse_call(text)
    except InvalidError as error:
        raise usage(f'invalid argument "{text}" for "--call" flag: {error.message}', path) from None
    if not arguments.flag("check"):
        return call
    if call.method == "check" or "call" not in arguments.given:
        return call._replace(method="check")
    raise usage(f"--check asks for a check, and --call for {call.method}", path)


def parse_call(text: str) -> Call:
    """Return what `METHOD[,format=json][,ignorestatus=true]` asks for. Raises InvalidError."""
    method, *fields = text.split(",")
    method = ALIASES.get(method, method)
    if method not in CALLS:
        raise InvalidError("it must be build, check, outline or targets", code="call")
    call = Call(method)
    for field in fields:
        name, _, value = field.partition("=")
        if name == "format" and value in ("json", "text"):
            call = call._replace(json=value == "json")
        elif name == "ignorestatus" and value in EITHER:
            call = call._replace(ignore_status=value in TRUE)
        else:
            raise InvalidError(
                "after the method there may be format=json, format=text and ignorestatus=true", code="call"
            )
    return call


def answer(session: Session, call: Call, request: BuildRequest) -> int:
    """Ask, print the answer, and return the status."""
    with session.engine() as engine:
        return answer_by(engine, session, call, request)


def answer_by(engine: Engine, session: Session, call: Call, request: BuildRequest) -> int:
    """Do the same with an engine that is open: a process enters its namespaces once."""
    from tiffin.engine.building import calls

    match call.method:
        case "check":
            return _check(session, call, calls.check(engine, request))
        case "outline":
            return _outline(session, call, calls.outline(engine, request))
        case _:
            return _targets(session, call, calls.targets(engine, request))


def _check(session: Session, call: Call, checked: Checked) -> int:
    from tiffin.engine.building.calldocuments import check_document

    if call.json:
        _print_json(session, check_document(checked))
    else:
        _print_findings(session, checked)
    if call.ignore_status:
        if checked.error is not None:
            session.show(checked.error)
        return 0
    if checked.error is not None:
        session.stdout.flush()
        raise checked.error
    return 1 if checked.findings else 0


def _print_findings(session: Session, checked: Checked) -> None:
    from tiffin.ui.diagnostic import block
    from tiffin.ui.text import sanitise

    count = len(checked.findings)
    found = "1 warning has" if count == 1 else f"{count} warnings have" if count else ""
    if found:
        session.print(f"Check complete, {found} been found!")
    elif checked.error is None:
        session.print("Check complete, no warnings found.")
    for finding in checked.findings:
        url = finding.rule.url
        session.print(f"\nWARNING: {finding.rule.name}{' - ' if url else ''}{url}")
        session.print(sanitise(finding.message))
        if finding.span is not None:
            span = finding.span
            session.print(f"{sanitise(span.file)}:{span.line}")
            for line in block(checked.source.excerpt(span.line, span.end_line)):
                session.print(line)


def _outline(session: Session, call: Call, outlined: Outlined) -> int:
    from tiffin.engine.building.calldocuments import outline_document

    if call.json:
        _print_json(session, outline_document(outlined))
        return 0
    for number, (rows, gap) in enumerate(_sections(outlined.outline)):
        if number:
            session.print()
        _print_table(session, rows, gap)
    return 0


def _sections(outline: Outline) -> Iterator[tuple[list[list[str]], int]]:
    """Yield the tables of an outline, each with the width of its gaps."""
    if outline.name:
        title = [["TARGET:", outline.name]]
        yield title + ([["DESCRIPTION:", outline.description]] if outline.description else []), 1
    if outline.arguments:
        rows = [[each.name, each.value, each.description] for each in outline.arguments]
        yield [["BUILD ARG", "VALUE", "DESCRIPTION"], *rows], 3
    for heading, loans in (("SECRET", outline.secrets), ("SSH", outline.ssh)):
        if loans:
            rows = [[each.name, "true" if each.required else ""] for each in loans]
            yield [[heading, "REQUIRED"], *rows], 3


def _targets(session: Session, call: Call, targets: Targets) -> int:
    from tiffin.engine.building.calldocuments import targets_document

    if call.json:
        _print_json(session, targets_document(targets))
        return 0
    rows = [["TARGET", "DESCRIPTION"]]
    for target in targets.targets:
        marks = [target.name] if target.name else []
        marks += ["(default)"] if target.default else []
        rows.append([" ".join(marks), target.description])
    _print_table(session, rows, 1)
    return 0


def _print_table(session: Session, rows: Sequence[Sequence[str]], gap: int) -> None:
    """Print rows as Go's tabwriter does: every cell but the last as wide as the widest of its column."""
    from tiffin.ui.text import display_width, sanitise

    cells = [[sanitise(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) + gap for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True))
        session.print("".join([*padded][:-1]) + row[-1])


def _print_json(session: Session, document: object) -> None:
    import json

    session.print(json.dumps(document, indent=2, ensure_ascii=False))
