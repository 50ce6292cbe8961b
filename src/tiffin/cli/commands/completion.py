"""tiffin completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import usage

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

SHELLS = ("bash", "fish", "zsh")


def run(session: Session, arguments: Arguments) -> int:
    """Print the script for a shell."""
    shell = arguments.words[0]
    if shell not in SHELLS:
        raise usage(f"there is no completion for {shell!r}; the shells are {', '.join(SHELLS)}", session.path)
    from tiffin.cli.completion import script

    session.stdout.write(script(shell))
    return 0


COMMAND = Command(
    "completion bash|fish|zsh",
    run,
    words=(1, 1),
    description="Load it once, or put the line into the shell's start file.",
    examples=(
        "source <(tiffin completion bash)",
        "source <(tiffin completion zsh)",
        "tiffin completion fish | source",
    ),
)
