"""tiffin save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tiffin.cli.archive import OUTPUT, written
from tiffin.cli.command import MANY, Command
from tiffin.cli.options import value
from tiffin.cli.platformflag import PLATFORM, platform_of

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

FORMATS = ("docker", "oci")


def run(session: Session, arguments: Arguments) -> int:
    """Write images into a tar archive: into a file, or to standard output."""
    from tiffin.engine.archives import save

    form: Literal["docker", "oci"] = "oci" if arguments.text("format") == "oci" else "docker"
    with written(session, arguments, "tiffin save IMAGE") as out, session.engine() as engine:
        save(engine, list(arguments.words), out, form, platform_of(arguments))
    return 0


COMMAND = Command(
    "save [OPTIONS] IMAGE [IMAGE...]",
    run,
    options=(
        value("--format", "FORMAT", "What to write: docker or oci", default="docker", choices=FORMATS),
        OUTPUT,
        PLATFORM,
    ),
    words=(1, MANY),
    names="images",
    description="The archive can be read by 'tiffin load', by Docker, and by other tools for images.",
    examples=(
        "tiffin save -o finca-serving.tar finca-serving",
        "tiffin save finca-serving | ssh host tiffin load",
    ),
)
