"""Listings in the forms that `--format`, `--quiet` and `--no-trunc` ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.options import Option, flag, value
from tiffin.ui.columns import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.cli.command import Session
    from tiffin.ui.template import Node

    Row = dict[str, object]

FORMAT_HELP = "Print as 'table', 'json', 'table TEMPLATE' or 'TEMPLATE', with fields like {{.ID}}"


def format_option(spelling: str = "--format") -> Option:
    """`--format`, as every listing has it."""
    return value(spelling, "FORMAT", FORMAT_HELP)


NO_TRUNC = flag("--no-trunc", "Do not shorten anything")


def print_rows(
    session: Session,
    rows: Sequence[Row],
    headings: Mapping[str, str],
    columns: Sequence[str],
    form: str | None,
) -> None:
    """Print `rows` as `form` says; without one, a table of `columns`.

    `headings` names the heading of every field that a row has; a row may hold
    functions too, for `{{.Label "key"}}`.
    """
    form = (form or "table").strip()
    if form == "json":
        _print_json(session, rows)
    elif form == "table":
        cells = [[_cell(row[name]) for name in columns] for row in rows]
        for line in table([[headings[name] for name in columns], *cells]):
            session.print(line)
    else:
        _print_template(session, rows, headings, form)


def print_documents(session: Session, documents: Sequence[Mapping[str, object]], form: str | None) -> None:
    """Print `documents` whole, as an indented JSON list, or each through a template."""
    import json

    if form is None:
        session.print(json.dumps(documents, indent=4, ensure_ascii=False))
    elif form == "json":
        from tiffin.ui.evaluate import to_json

        session.print("[" + ",".join(to_json(dict(document)) for document in documents) + "]")
    else:
        render = _renderer(form)
        for document in documents:
            session.print(render(dict(document)))


def print_document(session: Session, document: Mapping[str, object], form: str) -> None:
    """Print one document as JSON or through a template."""
    from tiffin.ui.evaluate import to_json

    session.print(to_json(dict(document)) if form == "json" else _renderer(form)(dict(document)))


def _print_json(session: Session, rows: Sequence[Row]) -> None:
    from tiffin.ui.evaluate import to_json

    for row in rows:
        session.print(to_json({name: row[name] for name in sorted(row)}))


def _print_template(session: Session, rows: Sequence[Row], headings: Mapping[str, str], form: str) -> None:
    from tiffin.ui.evaluate import HEADINGS, render

    with_heading = form.startswith("table ")
    nodes = _nodes(form.removeprefix("table ").lstrip() if with_heading else form)
    lines = [render(nodes, row) for row in rows]
    if not with_heading:
        for line in lines:
            session.print(line)
        return
    lines.insert(0, render(nodes, {**headings, "Label": str}, HEADINGS))
    for line in table([line.split("\t") for text in lines for line in text.split("\n")]):
        session.print(line)


def _nodes(form: str) -> tuple[Node, ...]:
    from tiffin.ui.template import parse

    return parse(form.replace("\\t", "\t").replace("\\n", "\n"))


def _renderer(form: str) -> Callable[[object], str]:
    from tiffin.ui.evaluate import render
    from tiffin.ui.template import parse

    nodes = parse(form)
    return lambda data: render(nodes, data)


def _cell(found: object) -> str:
    return found if isinstance(found, str) else str(found)
