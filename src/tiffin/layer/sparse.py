"""Files with holes in a tar: the maps of GNU tar's formats, checked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable

_SEGMENT_LIMIT: Final = 1 << 17


class Segment(NamedTuple):
    """A run of bytes that the archive holds; between the runs are holes."""

    offset: int
    size: int


def old_map(
    header: bytes, number: Callable[[bytes, int, int, str], int], take: Callable[[], bytes]
) -> list[Segment]:
    """The map of the old GNU format: four segments in the header, 21 in each block that follows it."""
    segments: list[Segment] = []
    block, start, count, more = header, 386, 4, 482
    while True:
        for index in range(count):
            at = start + 24 * index
            if not block[at + 12]:  # an unused place
                break
            segments.append(Segment(number(block, at, 12, "offset"), number(block, at + 12, 12, "numbytes")))
        if not block[more]:
            return segments
        _check_count(len(segments))
        block, start, count, more = take(), 0, 21, 504


def read_map(block: Callable[[], bytes]) -> tuple[list[Segment], int]:
    """The map of format 1.0, at the beginning of the content: a count and as many pairs, a line each.

    Also returns how many bytes it took, whole blocks.
    """
    blocks = [block()]
    first, newline, _ = blocks[0].partition(b"\n")
    if not newline:
        raise _broken("its count has no end")
    count = _line(first)
    _check_count(count)
    wanted = 1 + 2 * count
    found = blocks[0].count(b"\n")
    while found < wanted:
        blocks.append(block())
        found += blocks[-1].count(b"\n")
    text = b"".join(blocks)
    numbers = [_line(line) for line in text.split(b"\n", wanted)[1:wanted]]
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [Segment(*pair) for pair in pairs], len(text)


def check_map(segments: list[Segment], size: int, stored: int) -> tuple[Segment, ...]:
    """The segments, if they ascend, lie within `size` and hold just the `stored` bytes."""
    end = 0
    for segment in segments:
        if segment.offset < end or segment.offset + segment.size > size:
            raise _broken(f"the segment at {segment.offset} with {segment.size} bytes does not fit")
        end = segment.offset + segment.size
    total = sum(segment.size for segment in segments)
    if total != stored:
        raise _broken(f"its segments have {total} bytes, and the archive holds {stored}")
    return tuple(segments)


def _line(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise _broken(f"it has {text[:20]!r} for a number")
    return int(text)


def _check_count(count: int) -> None:
    if count > _SEGMENT_LIMIT:
        raise _broken(f"it has {count} segments, and {_SEGMENT_LIMIT} are the limit")


def _broken(why: str) -> CorruptError:
    return CorruptError(
        f"the map of a sparse file in the tar is broken: {why}",
        code="tar-broken",
        hint="it was cut off or altered on the way; get it again",
    )
