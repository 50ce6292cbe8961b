"""The spec of a container as every OCI runtime takes it, where our own knows more by itself. Pure."""

from __future__ import annotations

import msgspec

from tiffin.oci.runtimespec import Mount, Resources, RuntimeSpec
from tiffin.runtime.devices import DENY_ALL

_VERSION = "1.0.2"
"""The oldest one that has all the words: some runtimes take no document that is younger than they are."""

_SHIFTED = ("idmap", "ridmap")
_QUIET = ("nosuid", "noexec", "nodev", "ro")


def portable(spec: RuntimeSpec) -> RuntimeSpec:
    """Return the same container in words that mean the same to all runtimes.

    Cgroups are mounted as the type `cgroup`, which stands for either version. A /sys of its own has only a
    container with its own network (the kernel ties sysfs to it), so that all others get this machine's.
    """
    own_network = any(entry.type == "network" and not entry.path for entry in spec.linux.namespaces)
    users = bool(spec.linux.uid_mappings)
    mounts = tuple(_mount(entry, own_network=own_network, users=users) for entry in spec.mounts)
    return msgspec.structs.replace(spec, mounts=mounts, oci_version=_VERSION)


def _mount(entry: Mount, *, own_network: bool, users: bool) -> Mount:
    if not users and set(_SHIFTED) & set(entry.options):
        options = tuple(word for word in entry.options if word not in _SHIFTED)
        return msgspec.structs.replace(entry, options=options)
    if entry.type == "cgroup2":
        return msgspec.structs.replace(entry, type="cgroup", source="cgroup")
    if entry.type == "sysfs" and not own_network:
        quiet = (option for option in _QUIET if option != "ro" or option in entry.options)
        return Mount(entry.destination, "bind", "/sys", ("rbind", "rprivate", *quiet))
    return entry


def external(spec: RuntimeSpec, *, guarded: bool = True) -> RuntimeSpec:
    """Return what a runtime beside us is given: portable, without limits, which we keep ourselves.

    What is not `guarded` by a user namespace is told to keep devices away.
    """
    if not guarded:
        resources = Resources(devices=(DENY_ALL,))
        return msgspec.structs.replace(
            portable(spec), linux=msgspec.structs.replace(spec.linux, resources=resources)
        )
    return msgspec.structs.replace(portable(spec), linux=msgspec.structs.replace(spec.linux, resources=None))
