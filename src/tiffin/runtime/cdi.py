"""Specifications of the Container Device Interface as values: who offers which devices, and what each takes.

They are the files that vendors put into /etc/cdi and /run/cdi; the format is SPEC.md of
cncf-tags/container-device-interface, versions 0.3 to 1.x. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from tiffin.errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLASS = "org.mobyproject.buildkit.device.class"
_VERSION = re.compile(r"v?(\d+)\.\d+(\.\d+)?(-.*)?")
_LATEST = 1
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a specification; fields that are not known are left alone."""


class DeviceNode(_Document, frozen=True):
    """A device of this machine: `path` in the container, `host_path` outside if that is another."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None


class HostMount(_Document, frozen=True):
    """A file or directory of this machine."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""


class HookCall(_Document, frozen=True):
    """A program of this machine that the runtime runs at a moment of the container's start."""

    hook_name: str
    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


class Edits(_Document, frozen=True):
    """What is changed in the spec of a container."""

    env: tuple[str, ...] = ()
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[HostMount, ...] = ()
    hooks: tuple[HookCall, ...] = ()
    additional_gids: tuple[int, ...] = msgspec.field(default=(), name="additionalGids")
    intel_rdt: Any = None
    net_devices: tuple[Any, ...] = ()


class Device(_Document, frozen=True):
    """A device by its name, and what it takes."""

    name: str
    container_edits: Edits = Edits()
    annotations: dict[str, str] = {}

    @property
    def group(self) -> str:
        """The class that BuildKit lets a Dockerfile ask for by that name alone."""
        return self.annotations.get(_CLASS, "")


class Specification(_Document, frozen=True):
    """A file: devices of one kind, and what all of them take."""

    cdi_version: str
    kind: str
    devices: tuple[Device, ...] = ()
    container_edits: Edits = Edits()
    annotations: dict[str, str] = {}


def parse_specification(document: Mapping[str, Any], file: str) -> Specification:
    """Return the specification that a file holds. Raises InvalidError or UnsupportedError with its name."""
    try:
        found = msgspec.convert(_without_nothing(document), Specification)
    except msgspec.ValidationError as error:
        raise _invalid(file, str(error)) from None
    except RecursionError:
        raise _invalid(file, "it contains itself") from None
    version = _VERSION.fullmatch(found.cdi_version)
    if version is None:
        raise _invalid(file, f"cdiVersion {found.cdi_version!r} is no version")
    if int(version[1]) > _LATEST:
        raise UnsupportedError(
            f"{file}: version {found.cdi_version} of CDI is newer than what is known here", code="cdi-version"
        )
    if not _KIND.fullmatch(found.kind):
        raise _invalid(file, f"the kind {found.kind!r} is not VENDOR/CLASS")
    names = [device.name for device in found.devices]
    for name in names:
        if not _NAME.fullmatch(name):
            raise _invalid(file, f"{name!r} is no name of a device")
        if names.count(name) > 1:
            raise _invalid(file, f"the device {name} is there twice")
    for edits in (found.container_edits, *(device.container_edits for device in found.devices)):
        _check(edits, file)
    return found


def _check(edits: Edits, file: str) -> None:
    paths = [(node.path, node.host_path or node.path) for node in edits.device_nodes]
    paths += [(mount.container_path, mount.host_path) for mount in edits.mounts if mount.type in ("", "bind")]
    paths += [(hook.path, hook.path) for hook in edits.hooks]
    for path in (path for pair in paths for path in pair):
        if not path.startswith("/"):
            raise _invalid(file, f"the path {path!r} is not absolute")
    for entry in (*edits.env, *(entry for hook in edits.hooks for entry in hook.env)):
        if "=" not in entry[1:]:
            raise _invalid(file, f"{entry!r} is no variable: NAME=VALUE is needed")


def _without_nothing(value: Any) -> Any:
    """Leave out what is null: other readers take it for absent."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nothing(item) for item in value]
    return value


def _invalid(file: str, why: str) -> InvalidError:
    return InvalidError(
        f"{file} is no CDI specification: {why}",
        code="invalid-cdi",
        hint="have the vendor's tool write it again, such as: nvidia-ctk cdi generate",
    )
