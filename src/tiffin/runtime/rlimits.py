"""`--ulimit`: limits of a process, as Docker writes them → those of the runtime spec. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import InvalidError
from tiffin.oci.runtimespec import Rlimit

if TYPE_CHECKING:
    from collections.abc import Iterable

UNLIMITED = (1 << 64) - 1  # as the runtime spec, whose numbers have no sign, says RLIM_INFINITY
_NAMES = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack"),
)
_WORDS = ("-1", "unlimited")


def parse_ulimits(texts: Iterable[str]) -> tuple[Rlimit, ...]:
    """Return the limits that `NAME=SOFT[:HARD]` name; of one name the last counts. Raises InvalidError."""
    found = {limit.type: limit for limit in map(parse_ulimit, texts)}
    return tuple(found.values())


def parse_ulimit(text: str) -> Rlimit:
    """Return what `NAME=SOFT[:HARD]` says; without HARD it is the same, -1 and `unlimited` are none."""
    name, equals, rest = text.partition("=")
    if not equals:
        raise _invalid(text, "a name, = and a number are needed")
    if name.lower() not in _NAMES:
        raise _invalid(text, f"there is no limit called {name!r}")
    soft_text, colon, hard_text = rest.partition(":")
    soft = _number(text, soft_text)
    hard = _number(text, hard_text) if colon else soft
    if soft > hard:
        raise _invalid(text, "the soft limit is above the hard one")
    return Rlimit(f"RLIMIT_{name.upper()}", soft, hard)


def _number(text: str, value: str) -> int:
    if value in _WORDS:
        return UNLIMITED
    if not value.isascii() or not value.isdigit() or int(value[:20]) >= 1 << 63:
        raise _invalid(text, f"{value!r} is not a number of 0 or more, nor -1 for none")
    return int(value)


def _invalid(text: str, why: str) -> InvalidError:
    return InvalidError(
        f'invalid argument "{text}" for "--ulimit" flag: {why}',
        code="usage",
        hint="write it like nofile=1024:524288; setrlimit(2) explains the names, which are "
        + ", ".join(_NAMES),
    )
