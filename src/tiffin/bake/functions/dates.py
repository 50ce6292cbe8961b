"""Functions on timestamps of RFC 3339.

Pure: what time it is comes from the caller.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from tiffin.bake.language.values import BadValueError, Value

if TYPE_CHECKING:
    from collections.abc import Callable

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_VERB = re.compile(r"'(?:[^']|'')*'|'|([A-Za-z])\1*|[^A-Za-z']+")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),
    "μs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(10**6),
    "m": Fraction(60 * 10**6),
    "h": Fraction(3600 * 10**6),
}


def parse_stamp(text: str) -> datetime:
    """Return the time that a timestamp of RFC 3339 tells."""
    found = _STAMP.fullmatch(text)
    try:
        if found is not None:
            return datetime.fromisoformat(found[1] + (found[2] or "")[:7] + found[3].replace("Z", "+00:00"))
    except ValueError:
        pass
    raise BadValueError(f"{text[:40]!r} is not a timestamp like 2006-01-02T15:04:05Z")


def write_stamp(time: datetime) -> str:
    """Return a time as a timestamp of RFC 3339, in whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + _zone(time, "Z")


def _zone(time: datetime, verb: str) -> str:
    offset = time.utcoffset() or timedelta()
    if not offset and verb in ("Z", "ZZZ"):
        return "Z" if verb == "Z" else "UTC"
    sign = "-" if offset < timedelta() else "+"
    minutes = abs(offset) // timedelta(minutes=1)
    colon = ":" if verb in ("Z", "ZZZZZ") else ""
    return f"{sign}{minutes // 60:02d}{colon}{minutes % 60:02d}"


def _format(template: str, stamp: str) -> str:
    time = parse_stamp(stamp)
    found = []
    for piece in _VERB.finditer(template):
        text = piece[0]
        if text == "'":
            raise BadValueError("a quote in the format is not closed")
        if text.startswith("'"):
            found.append(text[1:-1].replace("''", "'"))
        else:
            found.append(_verb(text, time) if piece[1] else text)
    return "".join(found)


def _verb(verb: str, time: datetime) -> str:
    hour = time.hour % 12 or 12
    values: dict[str, object] = {
        "YYYY": f"{time.year:04d}",
        "YY": f"{time.year % 100:02d}",
        "MMMM": _MONTHS[time.month - 1],
        "MMM": _MONTHS[time.month - 1][:3],
        "MM": f"{time.month:02d}",
        "M": time.month,
        "DD": f"{time.day:02d}",
        "D": time.day,
        "EEEE": _DAYS[time.weekday()],
        "EEE": _DAYS[time.weekday()][:3],
        "hh": f"{time.hour:02d}",
        "h": time.hour,
        "HH": f"{hour:02d}",
        "H": hour,
        "AA": "AM" if time.hour < 12 else "PM",
        "aa": "am" if time.hour < 12 else "pm",
        "mm": f"{time.minute:02d}",
        "m": time.minute,
        "ss": f"{time.second:02d}",
        "s": time.second,
    }
    if verb in ("Z", "ZZZ", "ZZZZ", "ZZZZZ"):
        return _zone(time, verb)
    if verb not in values:
        known = ", ".join([*values, "Z", "ZZZ", "ZZZZ", "ZZZZZ"])
        raise BadValueError(f"{verb[:20]!r} is nothing that a date has; there are {known}")
    return str(values[verb])


def _add(stamp: str, duration: str) -> str:
    time = parse_stamp(stamp)
    sign, rest = (-1, duration[1:]) if duration.startswith("-") else (1, duration.removeprefix("+"))
    pieces = list(_DURATION.finditer(rest))
    if rest != "0" and (not rest or "".join(piece[0] for piece in pieces) != rest):
        raise BadValueError(f"{duration[:40]!r} is not a duration like 1h30m")
    microseconds = sum((Fraction(Decimal(piece[1])) * _UNITS[piece[2]] for piece in pieces), Fraction(0))
    try:
        return write_stamp(time + timedelta(microseconds=int(sign * microseconds)))
    except OverflowError as error:
        raise BadValueError("the time is too far away") from error


def parts(time: datetime) -> Value:
    """Return a time as a map of its parts."""
    iso_year, iso_week, _ = time.isocalendar()
    return {
        "year": Decimal(time.year),
        "year_day": Decimal(time.timetuple().tm_yday),
        "day": Decimal(time.day),
        "month": Decimal(time.month),
        "month_name": _MONTHS[time.month - 1],
        "weekday": Decimal(time.isoweekday() % 7),
        "weekday_name": _DAYS[time.weekday()],
        "hour": Decimal(time.hour),
        "minute": Decimal(time.minute),
        "second": Decimal(time.second),
        "unix": Decimal(int(time.timestamp())),
        "iso_year": Decimal(iso_year),
        "iso_week": Decimal(iso_week),
    }


def _from_unix(seconds: Decimal) -> Value:
    try:
        return parts(datetime.fromtimestamp(int(seconds), UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise BadValueError("the time is too far away") from error


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "formatdate": ("ss", _format),
    "rfc3339parse": ("s", lambda stamp: parts(parse_stamp(stamp))),
    "timeadd": ("ss", _add),
    "unixtimestampparse": ("n", _from_unix),
}
