"""tiffin system start-all, tiffin generate systemd."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments


def start_all(session: Session, arguments: Arguments) -> int:
    """Start what the machine's last end interrupted, and print the names."""
    from tiffin.engine.boot import due
    from tiffin.engine.running import start

    def act(name: str) -> str:
        if not arguments.flag("dry-run"):
            start(engine, [name])
        return name

    with session.engine() as engine:
        return session.each(due(engine), act)


def systemd(session: Session, arguments: Arguments) -> int:
    """Print the unit."""
    from tiffin.engine.boot import systemd_unit

    if arguments.flag("user") and arguments.flag("system"):
        raise usage("--user and --system exclude each other", session.path)
    user = arguments.flag("user") or (os.geteuid() != 0 and not arguments.flag("system"))
    home = session.overrides.get("home") or session.environ.get("TIFFIN_HOME")
    environment = {"TIFFIN_HOME": os.path.abspath(home)} if home else {}  # noqa: PTH100 - links are to stay
    session.print(systemd_unit(_command(), environment, user=user).rstrip("\n"))
    return 0


def _command() -> tuple[str, ...]:
    """How this very program is started."""
    import shutil

    found = shutil.which(sys.argv[0]) if sys.argv[0].endswith("tiffin") else None
    return (os.path.abspath(found),) if found else (sys.executable, "-m", "tiffin")  # noqa: PTH100 - the same


START_ALL = Command(
    "system start-all [OPTIONS]",
    start_all,
    options=(flag("--dry-run", "Only print which these are"),),
    description=(
        "Start the containers whose restart policy wants it and that an earlier start of the machine left "
        "behind: always, unless-stopped if no user stopped it, on-failure if it had not ended well."
    ),
    examples=("tiffin system start-all",),
)
SYSTEMD = Command(
    "generate systemd [OPTIONS]",
    systemd,
    options=(
        flag("--system", "A unit of the system; the default for root"),
        flag("--user", "A unit of this user; the default for everybody else"),
    ),
    description=(
        "Print a unit that calls 'tiffin system start-all' when the machine starts. That of a user begins "
        "with the machine only after 'loginctl enable-linger'."
    ),
    examples=(
        "tiffin generate systemd > /etc/systemd/system/tiffin.service && systemctl enable tiffin",
        "tiffin generate systemd > ~/.config/systemd/user/tiffin.service && systemctl --user enable tiffin",
    ),
)
