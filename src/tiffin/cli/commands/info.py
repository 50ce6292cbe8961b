"""tiffin info."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import value
from tiffin.cli.output import print_document

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.settings import Settings

LABELS = {
    "ServerVersion": "Version",
    "Containers": "Containers",
    "ContainersRunning": " Running",
    "ContainersStopped": " Stopped",
    "Images": "Images",
    "DockerRootDir": "Store",
    "Isolation": "Isolation",
    "CgroupVersion": "Cgroup Version",
    "LoggingDriver": "Logging Driver",
    "Runtimes": "Runtimes",
    "DefaultRuntime": "Default Runtime",
    "SecurityOptions": "Security Options",
    "KernelVersion": "Kernel",
    "OperatingSystem": "Operating System",
    "Architecture": "Architecture",
    "NCPU": "CPUs",
    "MemTotal": "Total Memory",
    "Name": "Name",
}


_HEADINGS = {
    "MirrorsByRegistry": "Registry Mirrors",
    "InsecureRegistryCIDRs": "Insecure Registries",
    "Aliases": "Image Aliases",
}


def run(session: Session, arguments: Arguments) -> int:
    """Show the set-up, in Docker's order and with its field names."""
    from tiffin.ui.columns import human_size

    facts = _facts(session)
    form = arguments.text("format")
    if form is not None:
        print_document(session, facts, form)
        return 0
    for field, label in LABELS.items():
        found = facts[field]
        if field == "MemTotal" and isinstance(found, int):
            found = human_size(found, 4)
        elif isinstance(found, list | dict):
            found = ", ".join(found)
        session.print(f"{label}: {found}")
    config = facts["RegistryConfig"]
    assert isinstance(config, dict)
    for field, heading in _HEADINGS.items():
        if config[field]:
            session.print(f"{heading}:")
            for line in _lines(config[field]):
                session.print(f" {line}")
    return 0


def _lines(found: dict[str, object] | list[str]) -> list[str]:
    if isinstance(found, list):
        return found
    return [
        f"{name}: {', '.join(places) if isinstance(places, list) else places}"
        for name, places in found.items()
    ]


def _facts(session: Session) -> dict[str, object]:
    from datetime import UTC, datetime

    from tiffin.engine.containers import ps
    from tiffin.engine.hostinfo import host_facts
    from tiffin.engine.images import list_images
    from tiffin.version import VERSION

    settings = session.settings()
    with session.engine() as engine:
        states = [container.state for container in ps(engine, True)]
        images = len(list_images(engine))
        rung = engine.rung.value
        facts = host_facts(engine)
    machine = os.uname()
    return {
        **facts,
        "ServerVersion": VERSION,
        "Containers": len(states),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": len(states) - states.count("running") - states.count("paused"),
        "Images": images,
        "Driver": "overlay2",
        "DockerRootDir": os.fspath(settings.home.root),
        "Isolation": rung,
        "KernelVersion": machine.release,
        **_system(),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": machine.nodename,
        "RegistryConfig": _registries(settings),
        "SystemTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "ClientInfo": {
            "Version": VERSION,
            "Context": "default",
            "Debug": False,
            "Plugins": [],
            "Warnings": None,
        },
    }


def _registries(settings: Settings) -> dict[str, object]:
    from tiffin.engine.registryinfo import registry_facts

    found = registry_facts(settings.environ)
    return {
        "Mirrors": list(found.mirrors.get("docker.io", ())),
        "MirrorsByRegistry": {name: list(places) for name, places in found.mirrors.items()},
        "InsecureRegistryCIDRs": list(found.insecure),
        "Aliases": dict(found.aliases),
        "SettingsFiles": list(found.files),
        "Offline": found.offline,
    }


def _system() -> dict[str, object]:
    import platform

    try:
        told = platform.freedesktop_os_release()
    except OSError:
        told = {}
    return {"OperatingSystem": told.get("PRETTY_NAME", "Linux"), "OSVersion": told.get("VERSION_ID", "")}


COMMAND = Command(
    "info [OPTIONS]",
    run,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.DockerRootDir}}"),
    ),
    examples=("tiffin info", "tiffin info --format '{{.Isolation}}'"),
)
