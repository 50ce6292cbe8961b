"""What is to run again after the machine was started anew, and the systemd unit that sees to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.container import state
from tiffin.container.record import Records
from tiffin.container.restart import after_reboot, parse_policy
from tiffin.engine.running import state_of
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine

__all__ = ["due", "systemd_unit"]

_UNIT = """\
# {place}
[Unit]
Description=Containers of tiffin that are to run after a start of the machine
{order}
[Service]
Type=oneshot
RemainAfterExit=yes
{environment}ExecStart={command} system start-all
TimeoutStartSec=infinity

[Install]
WantedBy={target}
"""
_NETWORK = "Wants=network-online.target\nAfter=network-online.target\n"


def due(engine: Engine) -> list[str]:
    """Names of containers, the oldest first, that their restart policy wants to run again.

    They are those that an earlier start of the machine left behind, or whose supervisor was killed; who
    ended since is left alone.
    """
    now = state.boot()
    found = []
    for record in reversed(Records(engine.db).all()):
        last = state_of(engine, record)
        left = last.status == "exited" and (last.boot != now or last.error != "")
        policy = parse_policy(record.restart)
        if left and after_reboot(policy, last.exit_code, stopped=last.stopped):
            found.append(record.name)
    return found


def systemd_unit(command: Sequence[str], environment: dict[str, str], *, user: bool) -> str:
    """Return the text of a unit that runs `system start-all` by this command. Pure."""
    place = "~/.config/systemd/user/tiffin.service" if user else "/etc/systemd/system/tiffin.service"
    lines = [f"Environment={_quoted(f'{name}={value}')}\n" for name, value in environment.items()]
    return _UNIT.format(
        place=place,
        order="" if user else _NETWORK,
        environment="".join(lines),
        command=" ".join(map(_quoted, command)),
        target="default.target" if user else "multi-user.target",
    )


def _quoted(word: str) -> str:
    """A word as systemd reads it: specifiers doubled, and quoted where it must be."""
    if not word.isprintable():
        raise InvalidError(f"{word!r} cannot be written into a unit", hint="use a path of printable letters")
    text = word.replace("%", "%%")
    if re.fullmatch(r"[\w/=.%-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'
