"""tiffin pull."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, refuse, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Fetch an image and print its full name."""
    from tiffin.engine.transfers import pull
    from tiffin.oci.reference import Reference

    name, quiet = arguments.words[0], arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        pull(engine, name, arguments.text("platform"), quiet)
    session.print(str(Reference.parse(name).tagged()))
    return 0


COMMAND = Command(
    "pull [OPTIONS] NAME[:TAG|@DIGEST]",
    run,
    options=(
        value("--platform", "PLATFORM", "Take the image for this platform, like linux/arm64"),
        flag("-q, --quiet", "Show no progress"),
        *refuse("name the tags one by one", "-a, --all-tags"),
        *ignore("--disable-content-trust"),
    ),
    words=(1, 1),
    names="images",
    examples=("tiffin pull python:3.11.8-slim",),
)
