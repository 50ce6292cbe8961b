"""What is around every RUN of a build, whatever its stage: set by options and build arguments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.scope import proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOSTNAME = "BUILDKIT_SANDBOX_HOSTNAME"
_CACHES = "BUILDKIT_CACHE_MOUNT_NS"


class Surroundings(NamedTuple):
    """`proxies` are variables; `caches` is a name space for the ids of cache mounts, empty for the usual one.

    `hostname` is empty for the builder's own; `hosts` are the names that `--add-host` gives.
    """

    proxies: Mapping[str, str] = {}
    hostname: str = ""
    caches: str = ""
    hosts: tuple[str, ...] = ()


def surroundings(build_args: Mapping[str, str], hosts: tuple[str, ...] = ()) -> Surroundings:
    """Return what the arguments, declared or not, say of the steps."""
    return Surroundings(
        proxies(build_args), build_args.get(_HOSTNAME, ""), build_args.get(_CACHES, ""), tuple(sorted(hosts))
    )
