"""What a base is asked to be, what the engine lends for making it, and what comes out.

The core of this room knows the engine only through these values: a place for
blobs, an empty directory for the layer, and a way to run a command in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Protocol

import msgspec

from tiffin.base.lock import Lock
from tiffin.base.machine import Machine

if TYPE_CHECKING:
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest

Flavour = Literal["runtime", "build"]


class Blobs(Protocol):
    """Content by digest; the content store is one."""

    def path(self, digest: Digest) -> Path:
        """Where the content lies, if it is there."""
        ...

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the content is there."""
        ...

    def ingest(self, stream: BinaryIO, expected: Descriptor | None = None) -> Descriptor:
        """Keep what `stream` gives; `CorruptError` if it is not `expected`."""
        ...


class Owners(Protocol):
    """How an owner is given to a file in the layer's directory."""

    def set_mode(self, target: int | str, mode: int) -> None:
        """Give the entry, which is no link, these permission bits."""
        ...

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Make (uid, gid) the owner of the open file or of the path, a link itself."""
        ...


class NewLayer(NamedTuple):
    """An empty directory that becomes the layer."""

    path: Path
    owners: Owners


MakeLayer = Callable[[], NewLayer]
RunIn = Callable[[Path, Sequence[str], Mapping[str, str]], int]
"""`run_in(directory, argv, env)` runs a command as root in a container whose root filesystem is the layer's
directory itself, with exactly that environment; what it writes is in the directory; returns its status."""


class BaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One base image.

    `suite` empty: the machine's own release. `mirrors`: URIs, or lines `deb [options] URI suite component…`,
    instead of the machine's sources; `keyring` says which keys must have signed them. `epoch`: the time of
    every file, None for the time of the newest file in the packages. `now`: seconds, for Valid-Until.
    With a `lock` its packages are taken, and nothing is resolved; `offline` forbids any use of the network.
    """

    machine: Machine
    now: float
    suite: str = ""
    flavour: Flavour = "runtime"
    python: bool = True
    include: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    keyring: Path | None = None
    architecture: str = ""
    epoch: int | None = None
    lock: Lock | None = None
    offline: bool = False
    downloads: int = 6


class BaseResult(NamedTuple):
    """The finished layer directory, the config for an image of just this layer, and what it was made from.

    `config.rootfs` is empty: only the layer store knows the diff id. `blobs` are the packages that must be
    kept for building again offline.
    """

    layer: NewLayer
    config: ImageConfig
    lock: Lock
    blobs: tuple[Descriptor, ...]
