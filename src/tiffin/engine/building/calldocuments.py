"""BuildKit-shaped documents of what was asked of a Dockerfile (`--call NAME,format=json`). Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.build.outline import Loan
    from tiffin.dockerfile.lint.rule import Finding
    from tiffin.dockerfile.source import Source
    from tiffin.engine.building.calls import Checked, Outlined, Targets
    from tiffin.errors import TiffinError

    Document = dict[str, Any]

_NOWHERE = -1  # the index of the source for what is no place in it


def check_document(checked: Checked) -> Document:
    """Return the result of a check."""
    source = checked.source
    data = {"filename": source.file, "data": _base64(source), "language": "Dockerfile"}
    document: Document = {
        "warnings": [_warning(finding) for finding in checked.findings] or None,
        "sources": [data],
    }
    if checked.error is not None:
        document["buildError"] = _error(checked.error)
    return document


def outline_document(outlined: Outlined) -> Document:
    """Return an outline."""
    outline = outlined.outline
    arguments = [
        _filled(name=each.name, description=each.description, value=each.value)
        | _location(each.span.line, each.span.end_line)
        for each in outline.arguments
    ]
    return _filled(
        name=outline.name,
        description=outline.description,
        args=arguments,
        secrets=_loans(outline.secrets),
        ssh=_loans(outline.ssh),
        sources=[_base64(outlined.source)],
    )


def targets_document(targets: Targets) -> Document:
    """Return the targets of a Dockerfile."""
    found = [
        _filled(
            name=each.name,
            default=each.default,
            description=each.description,
            base=each.base,
            platform=each.platform,
        )
        | _location(each.line, each.end_line)
        for each in targets.targets
    ]
    return {"targets": found, "sources": [_base64(targets.source)]}


def _filled(**fields: object) -> Document:
    """Return the fields that are not empty, as Go's omitempty does."""
    return {name: value for name, value in fields.items() if value}


def _base64(source: Source) -> str:
    return base64.b64encode("".join(source.lines).encode("utf-8", "surrogateescape")).decode()


def _location(start: int, end: int) -> Document:
    return {"location": {"ranges": [_range(number) for number in range(start, end + 1)]}}


def _range(line: int) -> Document:
    return {"start": {"line": line}, "end": {"line": line}}


def _loans(loans: Sequence[Loan]) -> list[Document]:
    return [
        _filled(name=each.name, required=each.required) | _location(each.span.line, each.span.line)
        for each in loans
    ]


def _warning(finding: Finding) -> Document:
    rule, span = finding.rule, finding.span
    document = _filled(ruleName=rule.name, description=rule.description, url=rule.url, detail=finding.message)
    return document | (
        {"location": {"sourceIndex": _NOWHERE}} if span is None else _location(span.line, span.end_line)
    )


def _error(error: TiffinError) -> Document:
    where = error.where
    return {"message": error.message} | (_location(where.line, where.line) if where else {})
