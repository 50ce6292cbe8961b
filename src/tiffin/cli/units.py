"""Sizes, times and filters as they are written on the command line (pure, but for the clock handed in)."""

from __future__ import annotations

import re

from tiffin.booleans import EITHER, TRUE
from tiffin.errors import InvalidError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_NANO = 10**9
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": _NANO, "m": 60 * _NANO, "h": 3600 * _NANO}
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE
)


def parse_size(text: str, option: str) -> int:
    """Bytes: `64m`, `1g`, `2GiB`, `1048576`; the letters are powers of 1024, as in Docker."""
    from tiffin.engine.size import size_in_bytes

    size = size_in_bytes(text)
    if size is None:
        raise InvalidError(
            f'invalid argument "{text}" for "{option}" flag: a size like 64m or 1g is needed', code="usage"
        )
    return size


def parse_moment(text: str, now: float, option: str) -> float:
    """Seconds since the epoch: a date, a time stamp, or how long ago (`42m`, `1h30m`)."""
    return parse_nanoseconds(text, int(now * _NANO), option) / _NANO


def parse_nanoseconds(text: str, now: int, option: str) -> int:
    """The same to the nanosecond, which no float can tell: the time of a line leads back to that line."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return _scaled(text)
    spans = _SPAN.findall(text)
    if spans and "".join(amount + unit for amount, unit in spans) == text:
        return now - sum(_scaled(amount) * _UNITS[unit] // _NANO for amount, unit in spans)
    if match := _DATE.fullmatch(text):
        return _of_date(match, text, option)
    raise InvalidError(
        f'invalid argument "{text}" for "{option}" flag: a time like 42m or 2026-01-31T12:00:00Z is needed',
        code="usage",
    )


def _scaled(decimal: str) -> int:
    """The decimal number in billionths; what is finer is cut off."""
    whole, _, fraction = decimal.partition(".")
    return int(whole or 0) * _NANO + int(fraction[:9].ljust(9, "0"))


def _of_date(match: re.Match[str], text: str, option: str) -> int:
    from datetime import datetime, timedelta, timezone

    numbers = (int(match[group] or 0) for group in range(1, 7))
    year, month, day, hour, minute, second = numbers
    fraction = _scaled(match[7] or "0")
    zone = match[8]
    try:
        if zone is None:
            local = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a time without a zone is local time
            return int(local.timestamp()) * _NANO + fraction
        offset = timedelta(0)
        if zone.upper() != "Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError as error:
        raise InvalidError(f'invalid argument "{text}" for "{option}" flag: {error}', code="usage") from None
    return int(moment.timestamp()) * _NANO + fraction


def parse_filters(
    items: tuple[str, ...], known: tuple[str, ...], option: str = "--filter"
) -> dict[str, list[str]]:
    """`name=value` filters by name; InvalidError for a name that is not known."""
    filters: dict[str, list[str]] = {}
    for item in items:
        name, equals, text = item.partition("=")
        name = name.strip().lower()
        if not equals:
            raise InvalidError(
                f'invalid argument "{item}" for "{option}" flag: name=value is needed', code="usage"
            )
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, 2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(known))}"
            raise InvalidError(f"there is no filter {name!r}", code="usage", hint=hint)
        filters.setdefault(name, []).append(text.strip())
    return filters


def nobody(filter_: str, kind: str, name: str, known: Iterable[str], listing: str) -> NotFoundError:
    """The error for a filter that names an image or a container which does not exist."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 2)
    return NotFoundError(
        f"the filter {filter_} names the {kind} {name}, and there is none",
        hint=f"did you mean {' or '.join(near)}?" if near else f"see '{listing}'",
    )


def parse_truth(name: str, text: str) -> bool:
    """The value of a filter that is true or false, in the spellings that Docker takes."""
    word = text.lower()
    if word in EITHER:
        return word in TRUE
    raise InvalidError(f"invalid filter '{name}={text}': true or false is needed", code="usage")


def has_labels(labels: dict[str, str], wanted: list[str]) -> bool:
    """Whether all `key` and `key=value` of a label filter hold."""
    for item in wanted:
        key, equals, text = item.partition("=")
        if key not in labels or (equals and labels[key] != text):
            return False
    return True
