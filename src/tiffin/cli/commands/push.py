"""tiffin push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.buildflags import SPLIT_LAYERS
from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, refuse
from tiffin.cli.platform import PLATFORM, platform_of

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Send an image to the registry that its name begins with."""
    from tiffin.engine.transfers import push
    from tiffin.oci.reference import Reference

    name, quiet = arguments.words[0], arguments.flag("quiet")
    with session.reporter("quiet" if quiet else "auto") as reporter, session.engine(reporter.emit) as engine:
        push(engine, name, quiet, platform_of(arguments), split=arguments.flag("split-layers"))
    if quiet:
        session.print(str(Reference.parse(name).tagged()))
    return 0


COMMAND = Command(
    "push [OPTIONS] NAME[:TAG]",
    run,
    options=(
        flag("-q, --quiet", "Show no progress, and print the full name"),
        *refuse("name the tags one by one", "-a, --all-tags"),
        PLATFORM,
        SPLIT_LAYERS,
        *ignore("--disable-content-trust"),
    ),
    words=(1, 1),
    names="images",
    examples=("tiffin push registry.example.org/finca/serving:1.2",),
)
