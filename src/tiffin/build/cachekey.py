"""What enters the cache key of a step. Pure.

A key is made of what the step does (its definition) and of what it reads, by
content: the chain id of the root filesystem it works on, and a digest of what
it copies. So a stage that was built anew with the same output leads to the
same keys, and what cannot change the result (names for display, places in the
Dockerfile, the proxies in force) is not in them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from tiffin.oci import codec
from tiffin.oci.digest import chain_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.build.graph import Git, Http, Made
    from tiffin.oci.digest import DiffID

VERSION = 4  # raise it when the same step would give another layer
EMPTY = "empty"


def chain(diff_ids: Sequence[DiffID]) -> str:
    """Return the chain id of a root filesystem, a word of its own if it has no layers."""
    return str(chain_id(diff_ids)) if diff_ids else EMPTY


def key(op: Made | Git | Http, parent: Sequence[DiffID], content: str, epoch: int) -> str:
    """Return the cache key of `op` on the root filesystem `parent`, reading `content`.

    `epoch` is the time that new files get, in seconds. Raises InvalidError for text that is no Unicode.
    """
    definition = msgspec.to_builtins(op)
    definition.pop("ambient", None)
    return _digest([VERSION, epoch, definition, chain(parent), content])


def _digest(parts: list[object]) -> str:
    return hashlib.sha256(codec.encode(parts)).hexdigest()
