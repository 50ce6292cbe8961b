"""tiffin save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import value
from tiffin.cli.platform import PLATFORM, platform_of
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

FORMATS = ("docker", "oci")


def run(session: Session, arguments: Arguments) -> int:
    """Write images into a tar archive: into a file, or to standard output."""
    from tiffin.engine.archives import save

    form: Literal["docker", "oci"] = "oci" if arguments.text("format") == "oci" else "docker"
    output = arguments.text("output")
    if output in (None, "-"):
        if session.stdout.isatty():
            raise InvalidError(
                "an archive is not for a terminal",
                code="is-terminal",
                hint="name a file with -o, or send the output elsewhere: tiffin save IMAGE > FILE",
            )
        with session.engine() as engine:
            save(engine, list(arguments.words), session.stdout.buffer, form, platform_of(arguments))
        return 0
    from tiffin.engine.replacedfile import replaced_file

    with session.engine() as engine, replaced_file(str(output)) as out:
        save(engine, list(arguments.words), out, form, platform_of(arguments))
    return 0


COMMAND = Command(
    "save [OPTIONS] IMAGE [IMAGE...]",
    run,
    options=(
        value("--format", "FORMAT", "What to write: docker or oci", default="docker", choices=FORMATS),
        value("-o, --output", "FILE", "Write into this file and not to standard output"),
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
