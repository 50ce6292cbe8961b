"""tiffin help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Print what `--help` of the command prints."""
    from tiffin.cli import catalog
    from tiffin.cli.help import group, manual, overview, unknown_command

    path = " ".join(arguments.words)
    if not path:
        session.stdout.write(overview())
    elif catalog.is_group(path):
        session.stdout.write(group(path))
    elif found := catalog.find(path):
        session.stdout.write(manual(path, catalog.load(found[0])))
    else:
        raise unknown_command(path)
    return 0


COMMAND = Command("help [COMMAND]", run, words=(0, 2), names="commands", examples=("tiffin help run",))
