"""DER (X.690), as far as timestamps need it: values with a tag, one in the other. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from tiffin.trust.refusal import refused

SEQUENCE: Final = 0x30
SET: Final = 0x31
INTEGER: Final = 0x02
OCTETS: Final = 0x04
OID: Final = 0x06
TIME: Final = 0x18
_MOST: Final = 256


class Node(NamedTuple):
    """A value: its tag, what is in it, and all of it as it was encoded."""

    tag: int
    body: bytes
    raw: bytes

    def inside(self) -> list[Node]:
        """The values that it is made of. Raises DeniedError for anything else."""
        found, data = [], self.body
        while data:
            node = _first(data)
            found.append(node)
            data = data[len(node.raw) :]
            if len(found) > _MOST:
                raise malformed()
        return found

    def parts(self, *tags: int) -> list[Node]:
        """The same, the first of which have these tags. Raises DeniedError if they have not."""
        found = self.inside()
        if [node.tag for node in found[: len(tags)]] != list(tags):
            raise malformed()
        return found

    def only(self, tag: int) -> Node:
        """The one value that it holds."""
        found = self.parts(tag)
        if len(found) != 1:
            raise malformed()
        return found[0]

    @property
    def oid(self) -> str:
        """The object identifier, with dots."""
        if self.tag != OID or not self.body:
            raise malformed()
        first = self.body[0]
        numbers, value = [min(first // 40, 2)], 0
        numbers.append(first - 40 * numbers[0])
        for byte in self.body[1:]:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        return ".".join(map(str, numbers))

    @property
    def number(self) -> int:
        """The whole number."""
        if self.tag != INTEGER or not self.body:
            raise malformed()
        return int.from_bytes(self.body, signed=True)


def read(data: bytes) -> Node:
    """The one value that the bytes are. Raises DeniedError for anything else."""
    node = _first(data)
    if len(node.raw) != len(data):
        raise malformed()
    return node


def malformed() -> Exception:
    """The error of a timestamp that cannot be read."""
    return refused("the timestamp of the signature is malformed")


def _first(data: bytes) -> Node:
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise malformed()
    size, start = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or len(data) < 2 + count:
            raise malformed()
        size, start = int.from_bytes(data[2 : 2 + count]), 2 + count
    if len(data) < start + size:
        raise malformed()
    return Node(data[0], data[start : start + size], data[: start + size])
