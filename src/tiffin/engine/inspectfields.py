"""The fields of `docker container inspect` that follow from what was asked for (pure).

Scripts ask for fields whether or not they were thought of when a container was made; so each that Docker
has is there, with Docker's own word for what was not asked for. What only daemons have, such as the ids of
their network sandboxes, is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiffin.engine.disklimits import in_words
from tiffin.network.publish import Published, parse_all

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.container.record import MountRecord, Record
    from tiffin.container.state import State
    from tiffin.oci.runtimespec import RuntimeSpec

_NANO = 1_000_000_000
_SHM = "/dev/shm"  # noqa: S108 - the container's


def place(directory: Path) -> dict[str, Any]:
    """What of a container lies where, and what labels it has: none."""
    data = {"UpperDir": str(directory / "upper"), "WorkDir": str(directory / "work")}
    return {
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "GraphDriver": {"Name": "overlayfs", "Data": data},
    }


def host_config(record: Record, spec: RuntimeSpec) -> dict[str, Any]:
    """Fields of HostConfig, most of them as they are by default."""
    given, limits = dict(record.security), dict(record.limits)
    return {
        "PortBindings": port_bindings(record),
        "PublishAllPorts": record.publish_all,
        "VolumeDriver": "",
        "VolumesFrom": list(record.volumes_from) or None,
        "CapAdd": _capabilities(record.cap_add),
        "CapDrop": _capabilities(record.cap_drop),
        "Cgroup": "",
        "Annotations": dict(spec.annotations) or None,
        "CgroupParent": limits.get("cgroup-parent", ""),
        "CgroupnsMode": given.get("cgroupns") or "private",
        "PidMode": given.get("pid", "").replace("private", ""),
        "UsernsMode": given.get("userns", ""),
        "Links": None,
        "Tmpfs": {
            mount.target: mount.source for mount in record.mounts if mount.kind == "tmpfs" and not mount.asked
        },
        "Mounts": [_mount(mount) for mount in record.mounts if mount.asked == "mount"] or None,
        "ShmSize": _shm_size(spec),
        "Isolation": "",
        **in_words(record.limits),
        "CpuRealtimePeriod": int(limits.get("cpu-rt-period", 0)),
        "CpuRealtimeRuntime": int(limits.get("cpu-rt-runtime", 0)),
        "MemorySwappiness": int(limits["memory-swappiness"]) if "memory-swappiness" in limits else None,
        "OomKillDisable": "oom-kill-disable" in limits,
        "MaskedPaths": list(spec.linux.masked_paths),
        "ReadonlyPaths": list(spec.linux.readonly_paths),
    }


def _mount(mount: MountRecord) -> dict[str, Any]:
    """What `--mount` asked for; options that are as they are by default are not there."""
    named = mount.name if mount.kind == "volume" and not mount.anonymous else ""
    source = mount.source if mount.kind in ("bind", "image") else named
    options = {
        "Propagation": mount.propagation,
        "NonRecursive": mount.recursion == "disabled",
        "ReadOnlyNonRecursive": mount.recursion == "writable",
        "ReadOnlyForceRecursive": mount.recursion == "readonly",
        "Subpath": mount.subpath,
    }
    found = {
        "Type": mount.kind,
        "Source": source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        f"{mount.kind.title()}Options": {key: value for key, value in options.items() if value},
    }
    return {key: value for key, value in found.items() if value}


def cpus(record: Record) -> dict[str, Any]:
    """What `--cpus` asked for, which Docker does not show as a quota."""
    asked = dict(record.limits).get("cpus")
    if asked is None:
        return {"NanoCpus": 0}
    return {"NanoCpus": round(float(asked) * _NANO), "CpuPeriod": 0, "CpuQuota": 0}


def config(record: Record) -> dict[str, Any]:
    """Fields of Config: the command in its two halves, and what the image declares."""
    rest = record.command[len(record.entrypoint) :]
    volumes: dict[str, Any] = {mount.target: {} for mount in record.mounts if mount.anonymous}
    return {
        "User": record.user,
        "Entrypoint": list(record.entrypoint) or None,
        "Cmd": list(rest) or None,
        "ExposedPorts": {port: {} for port in record.exposed},
        "Volumes": volumes or None,
        "OnBuild": None,
    }


def environment(record: Record, env: tuple[str, ...]) -> list[str]:
    """The variables, without those that a start adds by itself."""
    added = {f"HOSTNAME={record.hostname}", *(["TERM=xterm"] if record.terminal else [])}
    return [variable for variable in env if variable not in added]


def port_bindings(record: Record) -> dict[str, list[dict[str, str]]]:
    """What was asked for with `-p`: real ports are in NetworkSettings."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in parse_all(record.publish):
        host = str(port.host or "") if not any(port.choices) else "{}-{}".format(*port.choices)
        binding = {"HostIp": port.address, "HostPort": host}
        found.setdefault(f"{port.container}/{port.protocol}", []).append(binding)
    return found


def network_settings(record: Record, state: State) -> dict[str, Any]:
    """Fields of NetworkSettings; ports that are exposed only are there without a binding, as in Docker."""
    own = record.network not in ("host", "none") and ":" not in record.network
    endpoint = {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "DriverOpts": None,
        "NetworkID": "",
        "EndpointID": "",
        "MacAddress": record.mac_address,
        "IPAddress": state.address,
        "Gateway": "",
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }
    return {
        "Bridge": "",
        "SandboxID": "",
        "EndpointID": "",
        "Gateway": "",
        "GlobalIPv6Address": "",
        "IPv6Gateway": "",
        "MacAddress": record.mac_address,
        "Ports": {**(dict.fromkeys(record.exposed) if own and state.pid else {}), **_offered(state)},
        "Networks": {} if ":" in record.network else {record.network or "bridge": endpoint},
    }


def _offered(state: State) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for wire in state.ports:
        port = Published(*wire[:4])
        bindings = [port.address] if port.address else ["0.0.0.0", "::"]  # noqa: S104 - what is reported
        found.setdefault(f"{port.container}/{port.protocol}", []).extend(
            {"HostIp": address, "HostPort": str(port.host)} for address in bindings
        )
    return found


def _capabilities(names: tuple[str, ...]) -> list[str] | None:
    """Docker's spelling: with CAP_ before them, but for ALL; null if there are none."""
    upper = [name.upper() for name in names]
    return [name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in upper] or None


def _shm_size(spec: RuntimeSpec) -> int:
    options = (option for mount in spec.mounts if mount.destination == _SHM for option in mount.options)
    sizes = [text for option in options if (text := option.removeprefix("size=")) != option]
    return int(sizes[0]) if sizes and sizes[0].isdigit() else 0
