"""What this runtime can do, as the document `features` of the runtime-spec says it. Pure."""

from __future__ import annotations

from typing import Any

from tiffin.linux.capability import NAMES
from tiffin.oci.runtimespec import VERSION
from tiffin.runtime.bundleplan import MOUNT_OPTIONS
from tiffin.runtime.plan import KINDS
from tiffin.runtime.seccomp import supported

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def features() -> dict[str, Any]:
    """Return the document."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": list(HOOKS),
        "mountOptions": sorted(MOUNT_OPTIONS),
        "linux": {
            "namespaces": sorted(KINDS),
            "capabilities": list(NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": False},
            "seccomp": {"enabled": True, **supported()},
            "apparmor": {"enabled": True},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
    }
