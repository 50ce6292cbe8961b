"""What `info` says beside counts: this machine and how the engine is set up on it, by Docker's field names.

What only a daemon has is left out; what scripts ask to find out whether a feature is there is answered.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiffin.engine.logoptions import DRIVERS
from tiffin.engine.runtimes import OWN, here
from tiffin.linux.isolation import Rung
from tiffin.network.definitions import PREDEFINED
from tiffin.runtime.cdifiles import directories
from tiffin.runtime.cgroups.hierarchy import read_hierarchies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.engine.engine import Engine

_HUB = "https://index.docker.io/v1/"
_PROXIES = {"HttpProxy": "http_proxy", "HttpsProxy": "https_proxy", "NoProxy": "no_proxy"}


def host_facts(engine: Engine) -> dict[str, Any]:
    """Return the fields."""
    environ = engine.settings.environ
    controllers, version = _controllers()
    return {
        "CgroupDriver": "cgroupfs" if version else "none",
        "CgroupVersion": version,
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": "memory" in controllers and Path("/proc/swaps").exists(),
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "IPv4Forwarding": _text("/proc/sys/net/ipv4/ip_forward") == "1",
        "Plugins": {
            "Volume": ["local"],
            "Network": list(PREDEFINED),
            "Authorization": None,
            "Log": [*DRIVERS],
        },
        "LoggingDriver": "json-file",
        "SecurityOptions": _security(engine.rung),
        "Runtimes": here(engine.settings),
        "DefaultRuntime": engine.settings.runtime or OWN,
        "CDISpecDirs": directories(environ),
        "IndexServerAddress": _HUB,
        "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": False},
        "LiveRestoreEnabled": True,  # containers need nobody to go on
        "ExperimentalBuild": False,
        "Labels": [],
        "Warnings": [],
        **{field: _proxy(environ, name) for field, name in _PROXIES.items()},
    }


def _controllers() -> tuple[frozenset[str], str]:
    """The controllers that limits can be kept with, and the version of the cgroups, empty for none."""
    found = read_hierarchies(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup"))
    if found.v1:
        return frozenset(found.v1), "1"
    if found.v2 is None:
        return frozenset(), ""
    own = (found.v2.own or "/").strip("/")
    return frozenset(_text(f"{found.v2.mount}/{own}/cgroup.controllers").split()), "2"


def _security(rung: Rung) -> list[str]:
    options = ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"]
    return options if rung is Rung.ROOT else [*options, "name=rootless"]


def _proxy(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper(), "")


def _text(path: str) -> str:
    try:
        return Path(os.path.normpath(path)).read_text(errors="replace").strip()
    except OSError:
        return ""
