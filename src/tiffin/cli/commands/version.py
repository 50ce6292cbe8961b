"""tiffin version."""

from __future__ import annotations

import os
import sys

from tiffin.cli.command import Command
from tiffin.cli.options import value
from tiffin.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def run(session: Session, arguments: Arguments) -> int:
    """Print the version; with --format, from a document with Docker's field names."""
    form = arguments.text("format")
    machine = os.uname()
    architecture = ARCHITECTURES.get(machine.machine, machine.machine)
    python = sys.version.split()[0]
    if form is None:
        session.print(f"tiffin {VERSION}")
        session.print(f" Python:   {python}")
        session.print(f" OS/Arch:  linux/{architecture}")
        session.print(f" Kernel:   {machine.release}")
        return 0
    from tiffin.cli.output import print_document

    facts = {
        "Version": VERSION,
        "PythonVersion": python,
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": machine.release,
    }
    # No daemon: client and server are this program, and scripts ask for either.
    client = {**facts, "Context": "default"}
    component = {"Name": "Engine", "Version": VERSION, "Details": facts}
    server = {**facts, "Platform": {"Name": "tiffin"}, "Components": [component], "Experimental": False}
    print_document(session, {**facts, "Client": client, "Server": server}, form)
    return 0


COMMAND = Command(
    "version [OPTIONS]",
    run,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Server.Version}}"),
    ),
    examples=("tiffin version", "tiffin version --format '{{.Server.Version}}'"),
)
