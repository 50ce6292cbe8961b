"""PAX extended headers (POSIX.1-2017, pax): records, and what the keys in use mean. Pure."""

from __future__ import annotations

from typing import Final

from tiffin.errors import CorruptError
from tiffin.layer.sparse import Segment

XATTR: Final = "SCHILY.xattr."
"""What stands before the name of an extended attribute in a key."""
_WITHOUT_ZERO: Final = ("path", "linkpath", "GNU.sparse.name")
_SPARSE_KEYS: Final = ("GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.numblocks")
_MOMENT_LIMIT: Final = 1 << 63


def parse(data: bytes, offset: int) -> list[tuple[str, bytes]]:
    """The records in their order: `length key=value` and a newline, the length counting all of it."""
    records = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        equals = data.find(b"=", space + 1, end)
        if not (space < equals < end <= len(data)) or data[end - 1] != 0x0A:
            raise _broken(f"the record at byte {at} of the one at {offset} is malformed")
        key, value = data[space + 1 : equals].decode("utf-8", "surrogateescape"), data[equals + 1 : end - 1]
        if not key or (key in _WITHOUT_ZERO and b"\0" in value):
            raise _broken(f"the record {key[:40]!r} of the one at {offset} has no meaning")
        records.append((key, value))
        at = end
    return records


def number(records: dict[str, bytes], *keys: str) -> int:
    """The decimal number of the first of `keys` that is there."""
    for key in keys:
        if key in records:
            return _decimal(records[key], key)
    raise _broken(f"there is no record {keys[0]}")


def time_ns(value: bytes) -> int:
    """A time in seconds, perhaps negative, perhaps with a fraction, as nanoseconds."""
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        raise _broken(f"the record mtime reads {value[:40]!r}, which is no time")
    moment = int(digits) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    moment = -moment if whole.startswith(b"-") else moment
    if not -_MOMENT_LIMIT <= moment < _MOMENT_LIMIT:
        raise _broken(f"the record mtime reads {value[:40]!r}, which is out of range")
    return moment


def xattrs(records: dict[str, bytes]) -> dict[str, bytes]:
    """The extended attributes among the records; GNU tar's spelling of `=` and `%` in names undone."""
    return {
        key.removeprefix(XATTR).replace("%3D", "=").replace("%25", "%"): value
        for key, value in records.items()
        if key.startswith(XATTR)
    }


def is_sparse(records: dict[str, bytes]) -> bool:
    """Whether the records say that the file has holes (GNU tar's formats 0.0, 0.1 and 1.0)."""
    return any(key in records for key in _SPARSE_KEYS)


def sparse_map(records: dict[str, bytes], ordered: list[tuple[str, bytes]]) -> list[Segment]:
    """The map of the formats 0.1 (one record, numbers with commas) and 0.0 (a record for each number)."""
    if "GNU.sparse.map" in records:
        text = records["GNU.sparse.map"]
        numbers = [_decimal(part, "GNU.sparse.map") for part in text.split(b",")] if text else []
    else:
        keys = ("GNU.sparse.offset", "GNU.sparse.numbytes")
        found = [(key, value) for key, value in ordered if key in keys]
        if any(key != keys[index % 2] for index, (key, _) in enumerate(found)):
            raise _broken("the map of a sparse file is out of order")
        numbers = [_decimal(value, key) for key, value in found]
    if len(numbers) % 2:
        raise _broken("the map of a sparse file has an odd count of numbers")
    return [Segment(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def _decimal(value: bytes, key: str) -> int:
    if not value.isdigit() or len(value) > 19 or int(value) >= 1 << 63:
        raise _broken(f"the record {key} reads {value[:40]!r}, which is no number in range")
    return int(value)


def _broken(why: str) -> CorruptError:
    return CorruptError(
        f"a PAX header of the tar is broken: {why}",
        code="tar-broken",
        hint="it was cut off or altered on the way; get it again",
    )
