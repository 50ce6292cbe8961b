"""PEM (RFC 7468): text with one block of bytes, or several. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

from tiffin.errors import InvalidError

LARGEST: Final = 256 << 10
# One space before the text, which may begin with more: two runs of spaces, one after the other, can be told
# apart in so many ways that nothing but spaces would keep us busy for minutes.
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----\s([A-Za-z0-9+/=\s]*?)-----END \1-----")


class Block(NamedTuple):
    """What a block says that it is, and its bytes."""

    label: str
    data: bytes


def blocks(data: bytes, what: str) -> list[Block]:
    """All blocks of the text. Raises InvalidError if there is none, or one that is malformed."""
    if len(data) > LARGEST:
        raise InvalidError(f"{what} has {len(data)} bytes, which no PEM file of keys or certificates has")
    found = _BLOCK.findall(data)
    if not found or len(found) != data.count(b"-----BEGIN "):
        raise InvalidError(f"{what} is not in PEM format", code="not-pem")
    try:
        return [
            Block(label.decode(), base64.b64decode(b"".join(text.split()), validate=True))
            for label, text in found
        ]
    except binascii.Error as error:
        raise InvalidError(f"{what} is damaged: {error}", code="not-pem") from None


def block(data: bytes, what: str) -> Block:
    """The only block of the text. Raises InvalidError unless there is exactly one."""
    found = blocks(data, what)
    if len(found) != 1:
        raise InvalidError(f"{what} holds {len(found)} PEM blocks, and one is needed", code="not-pem")
    return found[0]


def armoured(label: str, data: bytes) -> bytes:
    """The text with one block."""
    encoded = base64.b64encode(data)
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])
