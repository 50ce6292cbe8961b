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

LABELS = {
    "ServerVersion": "Version",
    "Containers": "Containers",
    "ContainersRunning": " Running",
    "ContainersStopped": " Stopped",
    "Images": "Images",
    "DockerRootDir": "Store",
    "Isolation": "Isolation",
    "KernelVersion": "Kernel",
    "OperatingSystem": "Operating System",
    "Architecture": "Architecture",
    "NCPU": "CPUs",
    "MemTotal": "Total Memory",
    "Name": "Name",
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
        session.print(
            f"{label}: {human_size(found, 4) if field == 'MemTotal' and isinstance(found, int) else found}"
        )
    return 0


def _facts(session: Session) -> dict[str, object]:
    from tiffin.engine.containers import ps
    from tiffin.engine.images import list_images
    from tiffin.version import VERSION

    settings = session.settings()
    with session.engine() as engine:
        states = [container.state for container in ps(engine, True)]
        images = len(list_images(engine))
        rung = engine.rung.value
    machine = os.uname()
    return {
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
        "OperatingSystem": _system(),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Name": machine.nodename,
    }


def _system() -> str:
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


COMMAND = Command(
    "info [OPTIONS]",
    run,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.DockerRootDir}}"),
    ),
    examples=("tiffin info", "tiffin info --format '{{.Isolation}}'"),
)
