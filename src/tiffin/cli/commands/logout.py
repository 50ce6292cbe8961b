"""tiffin logout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def run(session: Session, arguments: Arguments) -> int:
    """Forget the credentials for a registry."""
    from tiffin.cli.commands.login import HUB
    from tiffin.engine.transfers import logout

    server = arguments.words[0] if arguments.words else HUB
    known = logout(session.settings(), server)
    session.print(f"Removed the credentials for {server}" if known else f"Not logged in to {server}")
    return 0


COMMAND = Command("logout [SERVER]", run, words=(0, 1), examples=("tiffin logout registry.example.org",))
