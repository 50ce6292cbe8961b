"""Proofs that a log holds an entry: hashes of a Merkle tree (RFC 6962, RFC 9162 2.1.3.2). Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEEPEST: Final = 64


def leaf_hash(data: bytes) -> bytes:
    """The hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of what stands above two hashes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root of a tree of `size` entries with the hash `leaf` at `index`, by the hashes beside the way.

    Raises DeniedError for a way that is too short or too long for the place.
    """
    if not 0 <= index < size or size >= 1 << 63 or len(path) > _DEEPEST:
        raise refused("the proof of the log is malformed: the entry lies outside of the log")
    at, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            raise refused("the proof of the log is malformed: it has too many hashes")
        if at & 1 or at == last:
            found = node_hash(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    if last:
        raise refused("the proof of the log is malformed: it has too few hashes")
    return found
