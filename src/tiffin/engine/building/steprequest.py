"""What the RUN steps of a build are given and allowed besides what the Dockerfile says, as a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.entitlements import Entitlements

if TYPE_CHECKING:
    from tiffin.network.resolver import ExtraHost
    from tiffin.oci.runtimespec import Resources, Rlimit


class StepRequest(NamedTuple):
    """The options of `build` that are about steps; `shm_size` in bytes, 0 for the usual size.

    `relay` says whether package managers are served by the relay; None for what the settings say.
    `debug` is the command of `--debug-shell`: empty for the step's own shell, None if it was not asked for.
    """

    hosts: tuple[ExtraHost, ...] = ()
    shm_size: int = 0
    rlimits: tuple[Rlimit, ...] = ()
    allow: Entitlements = Entitlements()
    resources: Resources | None = None
    cgroup_parent: str = ""
    debug: tuple[str, ...] | None = None
    relay: bool | None = None
