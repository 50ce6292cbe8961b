"""Accelerators through CDI: which devices are meant, and what they change in the spec of a container. Pure.

A device is called VENDOR/CLASS=NAME. What its vendor says is believed: it is a file that root has put on
this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.errors import NotFoundError, UnsupportedError
from tiffin.oci.runtimespec import Hook, Hooks, Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.runtime.cdi import Device, DeviceNode, Edits, HookCall, Specification

_ALL = "*"
_EARLY = {"prestart": "prestart", "createRuntime": "create_runtime", "createContainer": "create_container"}
_NODE = ("bind", "rprivate", "nosuid", "noexec")


class Offer(NamedTuple):
    """A device, and the specification that it is in."""

    specification: Specification
    device: Device

    @property
    def name(self) -> str:
        """The whole name."""
        return f"{self.specification.kind}={self.device.name}"

    @property
    def group(self) -> str:
        """The class that it can be asked for by."""
        return self.device.group or self.specification.annotations.get(
            "org.mobyproject.buildkit.device.class", ""
        )


class Catalogue:
    """All devices of this machine. Of those with one name, that of the later directory counts.

    `levels` has the specifications of each directory; two of one directory that offer the same name make
    it useless.
    """

    def __init__(self, levels: Sequence[Sequence[Specification]]) -> None:
        self._offers: dict[str, Offer] = {}
        self._twice: set[str] = set()
        for specifications in levels:
            here: set[str] = set()
            for offer in (Offer(each, device) for each in specifications for device in each.devices):
                if offer.name in here:
                    self._twice.add(offer.name)
                else:
                    self._twice.discard(offer.name)
                here.add(offer.name)
                self._offers[offer.name] = offer

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._offers)

    def find(self, asked: str) -> list[Offer]:
        """Return what is meant: a whole name, VENDOR/CLASS=* for all, VENDOR/CLASS for the first, or a class.

        Nothing is a list without entries. Raises UnsupportedError for a name that is offered twice.
        """
        kind, equals, name = asked.partition("=")
        if not equals and "/" not in asked:
            found = [offer for offer in self._sorted() if offer.group == asked]
        else:
            of_kind = [offer for offer in self._sorted() if offer.specification.kind == kind]
            found = [offer for offer in of_kind if offer.device.name == name] if equals else of_kind[:1]
            if name == _ALL:
                found = of_kind
        for offer in found:
            if offer.name in self._twice:
                raise UnsupportedError(
                    f"two CDI specifications offer the device {offer.name}",
                    code="cdi-conflict",
                    hint="remove one of them from /etc/cdi or /run/cdi",
                )
        return found

    def need(self, asked: str) -> list[Offer]:
        """Return the same. Raises NotFoundError if there is no such device."""
        found = self.find(asked)
        if not found:
            known = ", ".join(self.names) or "none: there is no specification in /etc/cdi or /run/cdi"
            raise NotFoundError(
                f"there is no device {asked}", code="device-not-found", hint=f"the devices are {known}"
            )
        return found

    def _sorted(self) -> list[Offer]:
        """In the order in which people count: gpu=2 before gpu=10."""
        return sorted(
            self._offers.values(),
            key=lambda offer: (offer.specification.kind, len(offer.device.name), offer.device.name),
        )


def edits_of(offers: Iterable[Offer]) -> list[Edits]:
    """Return what the devices take, each once: of a specification first what all of its devices take."""
    found: list[Edits] = []
    seen: set[str] = set()
    general: list[Specification] = []
    for offer in offers:
        if offer.name in seen:
            continue
        seen.add(offer.name)
        if not any(offer.specification is each for each in general):
            general.append(offer.specification)
            found.append(offer.specification.container_edits)
        found.append(offer.device.container_edits)
    return found


def apply_edits(
    spec: RuntimeSpec, edits: Iterable[Edits], has_group: Callable[[int], bool] = lambda _gid: True
) -> RuntimeSpec:
    """Return the spec with the devices in it; groups that the container does not have are left out.

    Raises UnsupportedError for what cannot be done here.
    """
    for each in edits:
        _refuse(each)
        process = spec.process
        variables = {name: value for name, _, value in (item.partition("=") for item in process.env)}
        variables |= {name: value for name, _, value in (item.partition("=") for item in each.env)}
        more = (gid for gid in each.additional_gids if gid and has_group(gid))
        groups = dict.fromkeys((*process.user.additional_gids, *more))
        spec = msgspec.structs.replace(
            spec,
            process=msgspec.structs.replace(
                process,
                env=tuple(f"{name}={value}" for name, value in variables.items()),
                user=msgspec.structs.replace(process.user, additional_gids=tuple(groups)),
            ),
            mounts=(*spec.mounts, *map(_node, each.device_nodes), *_mounts(each)),
            hooks=_hooks(spec.hooks, each.hooks),
        )
    return spec


def _node(node: DeviceNode) -> Mount:
    """A device is mounted where it lies: in a user namespace no node can be made."""
    return Mount(node.path, "bind", node.host_path or node.path, _NODE)


def _mounts(edits: Edits) -> tuple[Mount, ...]:
    return tuple(
        Mount(mount.container_path, mount.type or "bind", mount.host_path, mount.options or ("rbind",))
        for mount in edits.mounts
    )


def _hooks(known: Hooks | None, calls: Iterable[HookCall]) -> Hooks | None:
    hooks = known or Hooks()
    for call in calls:
        field = _EARLY[call.hook_name]
        hook = Hook(call.path, call.args, call.env, call.timeout)
        hooks = msgspec.structs.replace(hooks, **{field: (*getattr(hooks, field), hook)})
    return hooks if hooks != Hooks() else None


def _refuse(edits: Edits) -> None:
    late = [call.hook_name for call in edits.hooks if call.hook_name not in _EARLY]
    what = f"hooks of the kind {late[0]}" if late else ""
    what = what or ("network devices" if edits.net_devices else "")
    what = what or ("classes of cache and memory bandwidth (intelRdt)" if edits.intel_rdt else "")
    if what:
        raise UnsupportedError(f"the device needs {what}, which cannot be done here", code="cdi-unsupported")
