"""What `docker container inspect` says of a container. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiffin.container.health import Check
from tiffin.container.health import read as read_health
from tiffin.container.logs import FILE, stamp
from tiffin.container.restart import parse_policy
from tiffin.engine import inspectfields
from tiffin.oci.runtimespec import CPU, Memory, Resources
from tiffin.runtime.rlimits import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tiffin.container.record import MountRecord, Record
    from tiffin.container.state import State
    from tiffin.oci.runtimespec import RuntimeSpec

_NEVER = "0001-01-01T00:00:00Z"


def document(record: Record, state: State, directory: Path, spec: RuntimeSpec) -> dict[str, Any]:
    """Return the document, with the fields that scripts expect; `directory` is the container's own."""
    process = spec.process
    return {
        "Id": record.id,
        "Created": stamp(record.created),
        "Path": record.command[0] if record.command else "",
        "Args": list(record.command[1:]),
        "State": _state(state),
        "Image": record.image_id,
        "ResolvConfPath": str(directory / "resolv.conf"),
        "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": "" if record.log_driver else str(directory / FILE),
        "Name": f"/{record.name}",
        "RestartCount": state.restarts,
        "Driver": "overlayfs",
        "Platform": "linux",
        **inspectfields.place(directory),
        "HostConfig": {
            **inspectfields.host_config(record, spec),
            "Binds": _binds(record.mounts),
            "NetworkMode": record.network or "default",
            "AutoRemove": record.remove,
            "ReadonlyRootfs": record.read_only,
            "ExtraHosts": list(record.extra_hosts) or None,
            "Dns": list(record.dns),
            "DnsOptions": list(record.dns_options),
            "DnsSearch": list(record.dns_search),
            "Init": record.init,
            "Runtime": record.runtime or "tiffin",
            "RestartPolicy": _policy(record.restart),
            "LogConfig": {
                "Type": record.log_driver or "json-file",
                "Config": dict(option.split("=", 1) for option in record.log_options),
            },
            **_security(record),
            **_limits(spec),
            **inspectfields.cpus(record),
            **_devices(record),
        },
        "Mounts": [_mount(mount) for mount in record.mounts if mount.kind != "tmpfs" or mount.asked],
        "Config": {
            "Hostname": record.hostname,
            "Domainname": record.domainname,
            **({"MacAddress": record.mac_address} if record.mac_address else {}),
            **inspectfields.config(record),
            "Tty": record.terminal,
            "OpenStdin": record.interactive,
            "StdinOnce": record.input_once,
            "Env": inspectfields.environment(record, process.env),
            "Image": record.image,
            "WorkingDir": process.cwd,
            "Labels": dict(record.labels),
            "StopSignal": record.stop_signal or "SIGTERM",
            "StopTimeout": record.stop_timeout,
            **({"Healthcheck": _check(record.health)} if record.health else {}),
        },
        "NetworkSettings": {
            **inspectfields.network_settings(record, state),
            "IPAddress": state.address,
            "SandboxKey": _sandbox(state),
        },
    }


def _state(state: State) -> dict[str, Any]:
    return {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": stamp(state.started) if state.started else _NEVER,
        "FinishedAt": stamp(state.finished) if state.finished else _NEVER,
        **({"Health": _health(state)} if state.health else {}),
    }


def _devices(record: Record) -> dict[str, Any]:
    rules = [text for name, text in record.limits if name == "device-cgroup-rule"]
    found: dict[str, Any] = {"DeviceRequests": None, "Devices": [], "DeviceCgroupRules": rules or None}
    if record.devices:
        from tiffin.engine.hostdevices import described

        found["Devices"] = described(record.devices)
    if record.gpus or record.cdi_devices:
        from tiffin.engine.accelerators import device_requests

        found["DeviceRequests"] = device_requests(record.gpus, record.cdi_devices)
    return found


def _limits(spec: RuntimeSpec) -> dict[str, Any]:
    """The limits by Docker's names; what is not limited is 0."""
    resources = spec.linux.resources or Resources()
    memory, cpu = resources.memory or Memory(), resources.cpu or CPU()
    pids, disks = resources.pids, resources.block_io
    return {
        "Memory": memory.limit or 0,
        "MemorySwap": memory.swap or 2 * (memory.limit or 0),
        "MemoryReservation": memory.reservation or 0,
        "CpuShares": cpu.shares or 0,
        "CpuPeriod": cpu.period or 0,
        "CpuQuota": cpu.quota or 0,
        "CpusetCpus": cpu.cpus,
        "CpusetMems": cpu.mems,
        "PidsLimit": pids.limit if pids else None,
        "BlkioWeight": (disks.weight if disks else None) or 0,
        "OomScoreAdj": spec.process.oom_score_adj or 0,
        "Ulimits": [
            {
                "Name": limit.type.removeprefix("RLIMIT_").lower(),
                "Soft": _signed(limit.soft),
                "Hard": _signed(limit.hard),
            }
            for limit in spec.process.rlimits
        ],
    }


def _security(record: Record) -> dict[str, Any]:
    words = record.security
    given = dict(words)

    def every(name: str) -> list[str]:
        return [text for option, text in words if option == name]

    return {
        "Privileged": "privileged" in given,
        "SecurityOpt": every("security-opt") or None,
        "GroupAdd": every("group-add") or None,
        "IpcMode": given.get("ipc") or "private",
        "UTSMode": given.get("uts", ""),
        "Sysctls": {key: value for key, _, value in (text.partition("=") for text in every("sysctl"))},
    }


def _signed(number: int) -> int:
    return -1 if number == UNLIMITED else number


def _health(state: State) -> dict[str, Any]:
    found = read_health(state.health)
    return {
        "Status": found.status,
        "FailingStreak": found.streak,
        "Log": [
            {
                "Start": stamp(result.start),
                "End": stamp(result.end),
                "ExitCode": result.exit_code,
                "Output": result.output,
            }
            for result in found.log
        ],
    }


def _check(wire: tuple[Any, ...]) -> dict[str, Any]:
    """The check as it was asked for: what has its default is not shown."""
    check = Check(*wire)
    numbers = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {"Test": list(check.test), **{name: number for name, number in numbers.items() if number}}


def _policy(text: str) -> dict[str, Any]:
    policy = parse_policy(text)
    return {"Name": policy.kind, "MaximumRetryCount": policy.retries}


def _sandbox(state: State) -> str:
    return f"/proc/{state.pid}/ns/net" if state.pid else ""


def _binds(mounts: Iterable[MountRecord]) -> list[str] | None:
    """What was asked for with `-v`; what the image declares is among the mounts alone."""
    shown = (mount for mount in mounts if mount.kind in ("bind", "volume") and not mount.anonymous)
    return [_bind(mount) for mount in shown if not mount.asked] or None


def _bind(mount: MountRecord) -> str:
    mode = mount.mode if mount.mode != "z" else ""
    mode = mode or ("ro" if mount.read_only else "")
    return ":".join([mount.name or mount.source, mount.target, *([mode] if mode else [])])


def _mount(mount: MountRecord) -> dict[str, Any]:
    found = {
        "Type": mount.kind,
        "Source": "" if mount.kind == "tmpfs" else mount.source,
        "Destination": mount.target,
        "Mode": mount.mode,
        "RW": not mount.read_only,
        "Propagation": (mount.propagation or "rprivate") if mount.kind == "bind" else "",
        **({"Subpath": mount.subpath} if mount.subpath else {}),
    }
    if mount.kind == "image":
        return {**found, "Name": mount.source, "Source": "", "Propagation": "rprivate"}
    return {**found, "Name": mount.name, "Driver": "local"} if mount.kind == "volume" else found
