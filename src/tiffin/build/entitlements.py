"""What a Dockerfile may do only if the user says so: `--allow`, and the steps that need it. Pure.

A Dockerfile comes from anywhere. That it is built must not mean that its steps share this machine's network,
or have the rights of root, be it of a user namespace only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.graph import Run
from tiffin.errors import DeniedError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.build.graph import Graph

NETWORK, INSECURE, DEVICE = "network.host", "security.insecure", "device"
_KNOWN = (NETWORK, INSECURE, DEVICE)


class Entitlements(NamedTuple):
    """What was granted: `device` stands for all devices, `device=NAME` for one, or one kind."""

    names: frozenset[str] = frozenset()

    def allows(self, name: str) -> bool:
        """Whether `name` is granted, itself or with all of its kind."""
        plain, _, device = name.partition("=")
        kind = device.partition("=")[0]
        return bool({name, plain, f"{plain}={kind}"} & self.names) if device else name in self.names


def parse_entitlements(texts: Iterable[str]) -> Entitlements:
    """Return what the values of `--allow` grant. Raises InvalidError."""
    names = frozenset(texts)
    for name in sorted(names):
        if name not in _KNOWN and not (name.startswith(f"{DEVICE}=") and name != f"{DEVICE}="):
            raise InvalidError(
                f"--allow {name}: there is no such entitlement",
                code="usage",
                hint=f"there are: {', '.join(_KNOWN)}, and device=VENDOR/CLASS=NAME",
            )
    return Entitlements(names)


def check_entitlements(graph: Graph, granted: Entitlements, network: str = "default") -> None:
    """Raise DeniedError at the first step that needs what is not granted, remembered or not.

    `network` is `--network`: to ask for the host's for all steps grants it.
    """
    granted = Entitlements(granted.names | ({NETWORK} if network == "host" else frozenset()))
    for vertex in graph.vertices:
        for name, flag, effect in _needs(vertex.op) if isinstance(vertex.op, Run) else ():
            if not granted.allows(name):
                raise DeniedError(
                    f"RUN {flag} needs the entitlement {name}, and it was not granted",
                    code="not-entitled",
                    hint=f"if you trust this Dockerfile: --allow {name} {effect}",
                    where=vertex.where,
                )


def _needs(op: Run) -> Iterator[tuple[str, str, str]]:
    """Yield what a step needs, what asks for it, and what granting it means."""
    if op.network == "host":
        yield NETWORK, "--network=host", "lets its steps use this machine's network as it is"
    if op.security == "insecure":
        yield INSECURE, "--security=insecure", "gives its steps all rights in their user namespace"
    for device in op.devices:
        effect = "gives its steps the device, and runs what the device's vendor asks for"
        yield f"{DEVICE}={device.name}", f"--device={device.name}", effect
