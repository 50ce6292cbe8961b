"""The image config: how an image is meant to be run, and how it came to be. Pure.

The wire names are Docker's and the image-spec's; fields that only Docker knows
(Healthcheck, Shell, OnBuild, ArgsEscaped, StopTimeout) are kept, unknown ones are
tolerated and dropped. What is empty is not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tiffin.oci.digest import ChainID, DiffID, chain_ids
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

Empty = dict[str, str]
KeySet = dict[str, Empty]
_NOTHING = msgspec.Raw()


def key_set(names: Iterable[str]) -> KeySet:
    """Names in the form that ports and volumes have in a config: `{"8000/tcp": {}}`."""
    return {name: {} for name in names}


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How to find out whether a container works; durations in nanoseconds, 0 for the default.

    `test` is `("NONE",)`, `("CMD", …)`, `("CMD-SHELL", "command")`, or empty for the inherited one.
    """

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The defaults of containers made from the image."""

    user: str = ""
    exposed_ports: KeySet = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: KeySet = {}
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False

    def __post_init__(self) -> None:
        """An empty command is no command: the wire knows no difference."""
        for name in ("entrypoint", "cmd", "shell"):
            if getattr(self, name) == ():
                msgspec.structs.force_setattr(self, name, None)

    def environment(self) -> dict[str, str]:
        """The variables as a map, in the order of their first mention; the last value of a name counts."""
        return {name: value for name, _, value in (entry.partition("=") for entry in self.env)}


class RootFS(msgspec.Struct, frozen=True):
    """The layers by the digests of their uncompressed tars, the lowest first."""

    diff_ids: tuple[DiffID, ...] = ()
    type: str = "layers"

    @property
    def chain(self) -> list[ChainID]:
        """The chain id after each layer."""
        return chain_ids(self.diff_ids)


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one instruction did; `empty_layer` when it left no layer."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The config document; its digest is the image id.

    `cache` is the build cache that the image carries for `--cache-from`, a document of its own; mostly empty.
    """

    architecture: str
    os: str
    variant: str = ""
    created: str = ""
    author: str = ""
    config: ContainerConfig = msgspec.field(default_factory=ContainerConfig)
    rootfs: RootFS = msgspec.field(default_factory=RootFS)
    history: tuple[History, ...] = ()
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")
    cache: msgspec.Raw = msgspec.field(default=_NOTHING, name="tiffin.cache.v1")

    @property
    def platform(self) -> Platform:
        """The platform that the image is made for."""
        return Platform(self.os, self.architecture, self.variant, self.os_version, self.os_features)
