"""What is around every RUN of a build, whatever its stage: set by options and build arguments. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.scope import proxies

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOSTNAME = "BUILDKIT_SANDBOX_HOSTNAME"
_EPOCH = "SOURCE_DATE_EPOCH"
_CACHES = "BUILDKIT_CACHE_MOUNT_NS"


class Surroundings(NamedTuple):
    """`variables` are in no cache key; `caches` is a name space of cache mounts, empty for the usual one.

    `hostname` is empty for the builder's own; `hosts` are the names that `--add-host` gives.
    """

    variables: Mapping[str, str] = {}
    hostname: str = ""
    caches: str = ""
    hosts: tuple[str, ...] = ()


def surroundings(build_args: Mapping[str, str], hosts: tuple[str, ...] = ()) -> Surroundings:
    """Return what the arguments, declared or not, say of the steps.

    Among them is the time that tools shall take for the present one, as reproducible-builds.org asks of
    whatever starts others; it is in the keys already, as the time of all files.
    """
    time = {_EPOCH: build_args[_EPOCH]} if build_args.get(_EPOCH) else {}
    return Surroundings(
        proxies(build_args) | time,
        build_args.get(_HOSTNAME, ""),
        build_args.get(_CACHES, ""),
        tuple(sorted(hosts)),
    )
