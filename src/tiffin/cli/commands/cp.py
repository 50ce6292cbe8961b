"""tiffin cp."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from tiffin.cli.command import Command
from tiffin.cli.options import flag, ignore, usage

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Copy files between a container and this machine."""
    from tiffin.engine.copying import Options, copy_in, copy_out

    (source, there), (target, here) = (split(word) for word in arguments.words)
    if bool(source) == bool(target):
        wrong = (
            "files are not copied between containers" if source else "one of the two must be CONTAINER:PATH"
        )
        raise usage(wrong, session.path)
    options = Options(arguments.flag("archive"), arguments.flag("follow-link"))
    session.stdout.flush()
    with session.engine() as engine:
        if source:
            sink: str | BinaryIO = session.stdout.buffer if here == "-" else here
            copy_out(engine, source, there, sink, options)
        else:
            given: str | BinaryIO = session.stdin.buffer if there == "-" else there
            copy_in(engine, given, target, here, options)
    return 0


def split(word: str) -> tuple[str, str]:
    """The container, empty for this machine, and the path: `./a:b` and `/a:b` are paths of this machine."""
    name, colon, path = word.partition(":")
    if not colon or os.path.isabs(word) or name.startswith("."):  # noqa: PTH117 - the word is no path yet
        return "", word
    return name, path


COMMAND = Command(
    "cp [OPTIONS] CONTAINER:PATH PATH|-\n       tiffin cp [OPTIONS] PATH|- CONTAINER:PATH",
    run,
    options=(
        flag("-a, --archive", "Keep the owners"),
        flag("-L, --follow-link", "Copy what a link leads to, and not the link"),
        *ignore("-q, --quiet"),
    ),
    words=(2, 2),
    names="containers",
    description=(
        "'-' is a tar, on standard input or output. A folder that ends with /. stands for what is in it. "
        "Without -a, files belong to root in the container, and to you here."
    ),
    examples=("tiffin cp model.onnx serving:/srv/", "tiffin cp serving:/var/log/. logs"),
)
