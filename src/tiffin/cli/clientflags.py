"""How a command is attached to a container: the options for that, and the keys of Docker's own settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.container.detachkeys import parse_keys
from tiffin.engine.request import STREAMS, Client
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

LEFT = 1
"""The status of a command that was left by its keys, where Docker has one for that."""


def client(session: Session, arguments: Arguments) -> Client:
    """How this command is to be attached. Raises InvalidError for keys and streams that there are not."""
    return Client(
        streams=_streams(arguments) if "attach" in arguments.given else (),
        keys=detach_keys(session, arguments),
        proxy=arguments.flag("sig-proxy") if "sig-proxy" in arguments.given else True,
    )


def detach_keys(session: Session, arguments: Arguments) -> bytes:
    """The keys to leave by: those given, or those of Docker's config.json, or Docker's default."""
    given = arguments.text("detach-keys") if "detach-keys" in arguments.given else None
    return parse_keys(given if given is not None else _configured(session.environ))


def left(session: Session) -> int:
    """Say, in Docker's words, that the user has left, and return the status for that."""
    session.stderr.write("read escape sequence\n")
    return LEFT


def need_terminal(session: Session) -> None:
    """Refuse -it where there is no terminal, as Docker does."""
    if not session.stdin.isatty():
        raise InvalidError(
            "the input device is not a TTY",
            code="no-terminal",
            hint="leave -t away: 'tiffin run -i' reads what is piped in",
            exit_status=1,
        )


def _streams(arguments: Arguments) -> tuple[str, ...]:
    given = {text.lower() for text in arguments.texts("attach")}
    unknown = given - {*STREAMS}
    if unknown:
        raise InvalidError(
            f"--attach {min(unknown)}: valid streams are STDIN, STDOUT and STDERR",
            code="unknown-stream",
            exit_status=125,
        )
    return tuple(name for name in STREAMS if name in given)


def _configured(environ: Mapping[str, str]) -> str:
    """What config.json says of them, if there is one and it can be read."""
    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", ""), ".docker")  # noqa: PTH118
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
            text = file.read()
    except (OSError, ValueError):
        return ""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return ""
    keys = found.get("detachKeys") if isinstance(found, dict) else None
    return keys if isinstance(keys, str) else ""
