"""Events and errors as JSON values and back, between a caller and the process that works for it (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from tiffin import errors, events
from tiffin.errors import Excerpt, FailedError, TiffinError, Where

if TYPE_CHECKING:
    from tiffin.events import Event

_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in get_args(events.Event)}
_ERRORS: dict[str, type[TiffinError]] = {
    kind.kind: kind
    for kind in (
        errors.NotFoundError,
        errors.ConflictError,
        errors.InvalidError,
        errors.DeniedError,
        errors.UnauthorizedError,
        errors.UnavailableError,
        errors.UnsupportedError,
        errors.CorruptError,
        errors.FailedError,
    )
}


def pack_event(event: Event) -> dict[str, Any]:
    """Return `event` as JSON can hold it; bytes become the text with the same numbers."""
    fields = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in event._asdict().items()
    }
    return {"kind": type(event).__name__, "fields": fields}


def unpack_event(document: dict[str, Any]) -> Event:
    """Return the event that `pack_event` was given."""
    fields = dict(document["fields"])
    if "data" in fields:
        fields["data"] = fields["data"].encode("latin-1")
    if fields.get("where"):
        fields["where"] = Where(*fields["where"])
    if "reasons" in fields:
        fields["reasons"] = tuple(fields["reasons"])
    event: Event = _EVENTS[document["kind"]](**fields)
    return event


def pack_error(error: TiffinError) -> dict[str, Any]:
    """Return all that a user can be told of `error`."""
    return {
        "kind": error.kind,
        "message": error.message,
        "code": error.code,
        "hint": error.hint,
        "where": error.where,
        "exit_status": error.exit_status,
        "excerpt": error.excerpt,
        "output": error.output if isinstance(error, FailedError) else "",
    }


def unpack_error(document: dict[str, Any]) -> TiffinError:
    """Return an error of the same kind that says the same."""
    where, excerpt = document["where"], document["excerpt"]
    error = _ERRORS[document["kind"]](
        document["message"],
        code=document["code"],
        hint=document["hint"],
        where=Where(*where) if where else None,
        exit_status=document["exit_status"],
    )
    if excerpt:
        first, lines, start, end = excerpt
        error.excerpt = Excerpt(first, tuple(lines), start, end)
    if isinstance(error, FailedError):
        error.output = document["output"]
    return error
