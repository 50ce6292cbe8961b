"""tiffin login."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage, value
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

HUB = "docker.io"


def run(session: Session, arguments: Arguments) -> int:
    """Check credentials with a registry and keep them."""
    from tiffin.engine.transfers import login

    server = arguments.words[0] if arguments.words else HUB
    user, password = credentials(session, arguments)
    login(session.settings(), server, user, password)
    session.print("Login Succeeded")
    return 0


def credentials(session: Session, arguments: Arguments) -> tuple[str, str]:
    """User and password: from options, standard input, or the terminal."""
    user, password = arguments.text("username"), arguments.text("password")
    if arguments.flag("password-stdin"):
        if password is not None:
            raise usage("--password and --password-stdin cannot both be given", session.path)
        if not user:
            raise usage("--password-stdin needs --username", session.path)
        password = session.stdin.read().rstrip("\r\n")
    elif password is not None:
        session.stderr.write(
            "warning: a password on the command line can be seen by others; use --password-stdin\n"
        )
    elif not session.stdin.isatty():
        raise InvalidError(
            "the password cannot be asked for: standard input is no terminal",
            code="no-terminal",
            hint="send it in: tiffin login -u USER --password-stdin < FILE",
        )
    if not user:
        session.stderr.write("Username: ")
        session.stderr.flush()
        user = session.stdin.readline().strip()
    if password is None:
        from getpass import getpass

        password = getpass("Password: ", session.stderr)
    if not user or not password:
        raise InvalidError("user name and password must not be empty", code="usage")
    return user, password


COMMAND = Command(
    "login [OPTIONS] [SERVER]",
    run,
    options=(
        value("-p, --password", "PASSWORD", "Password or token; seen by other users of this machine"),
        flag("--password-stdin", "Read the password or token from standard input"),
        value("-u, --username", "NAME", "User name"),
    ),
    words=(0, 1),
    description="Without SERVER, the registry is Docker Hub.",
    examples=("tiffin login -u finca --password-stdin registry.example.org < token",),
)
