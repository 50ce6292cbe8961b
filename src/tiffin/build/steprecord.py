"""What is remembered of a step so that its next miss can be explained: what it does, what it read. Pure.

A record belongs to a key, as the result does, and is written when a step misses. It is bounded: of very
many files only the first are listed, and only small texts are kept as such.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTEXT = "the build context"
MOST_ENTRIES = 20_000
LARGEST_TEXT = 32 << 10
MOST_TEXT = 256 << 10
_LARGEST_RECORD = 64 << 20


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file, link or directory: its kind in one letter, and the beginning of its digest if it has one."""

    kind: str
    mode: int
    size: int
    digest: bytes = b""


class Read(msgspec.Struct, frozen=True, array_like=True):
    """What a step read of one origin (`the build context`, `stage train`): a digest of all, and the entries.

    `texts` are the small texts among them. Not `whole` is a list that was cut off.
    """

    origin: str
    content: str
    entries: dict[str, Entry] = {}
    texts: dict[str, str] = {}
    whole: bool = True


class Ground(msgspec.Struct, frozen=True, array_like=True):
    """What a step stands on: an image or an earlier instruction, and the chain id of the files there.

    `digest` is that of an image, as its name was resolved; empty for an instruction.
    """

    name: str
    chain: str
    digest: str = ""
    image: bool = False


class StepRecord(msgspec.Struct, frozen=True, array_like=True):
    """A step as it was when it missed. `definition` is its operation as plain values.

    `arguments` are the names among its variables that come from ARG.
    """

    text: str
    definition: dict[str, Any]
    epoch: int
    ground: Ground
    reads: tuple[Read, ...] = ()
    arguments: tuple[str, ...] = ()


def pack(record: StepRecord) -> bytes:
    """Return the record as it is stored."""
    return zlib.compress(msgspec.msgpack.encode(record), 1)


def unpack(data: bytes) -> StepRecord | None:
    """Return the record that was packed; None if it cannot be read, perhaps by this version."""
    try:
        plain = zlib.decompressobj().decompress(data, _LARGEST_RECORD)
        return msgspec.msgpack.decode(plain, type=StepRecord)
    except (zlib.error, msgspec.MsgspecError):
        return None


def variables(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a RUN by name."""
    return {name: value for name, _, value in (item.partition("=") for item in definition.get("env", ()))}
