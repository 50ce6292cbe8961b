"""tiffin base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, usage, value, values

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.ui.progress import Mode

FLAVOURS = ("runtime", "build")
MODES = ("auto", "tty", "plain", "quiet", "rawjson")


def run(session: Session, arguments: Arguments) -> int:
    """Make a base image; its id goes to standard output with --quiet."""
    from pathlib import Path

    from tiffin.base.order import BaseOrder, make_base

    names = arguments.texts("tag")
    if not names:
        raise usage("the image needs a name: -t NAME", session.path)
    lock, keyring = arguments.text("lock"), arguments.text("keyring")
    order = BaseOrder(
        suite=arguments.words[0] if arguments.words else "",
        tags=names,
        flavour="build" if arguments.text("flavour") == "build" else "runtime",
        python=arguments.flag("python"),
        include=tuple(name for text in arguments.texts("include") for name in text.replace(",", " ").split()),
        lock=Path(lock) if lock else None,
        mirrors=arguments.texts("mirror"),
        keyring=Path(keyring) if keyring else None,
        offline=arguments.flag("offline"),
    )
    quiet = arguments.flag("quiet")
    with session.reporter(_mode(arguments)) as reporter:
        with session.engine(reporter.emit) as engine:
            result = make_base(engine, order)
        reporter.say(f"made {' '.join(names)} {result.image_id}")
    if quiet:
        session.print(str(result.image_id))
    return 0


def _mode(arguments: Arguments) -> Mode:
    from tiffin.ui.progress import MODES as KNOWN

    if arguments.flag("quiet"):
        return "quiet"
    return next(mode for mode in KNOWN if mode == arguments.text("progress"))


COMMAND = Command(
    "base [OPTIONS] [SUITE]",
    run,
    options=(
        value(
            "--flavour",
            "KIND",
            "runtime: small, packages unpacked only; build: with pip, venv, apt and a configured dpkg",
            default="runtime",
            choices=FLAVOURS,
        ),
        values("--include", "PACKAGE", "Put in this package and what it needs; can be repeated"),
        value("--keyring", "FILE", "Keys that must have signed the packages' index, for --mirror"),
        value("--lock", "FILE", "Write what went in to this file; if it is there, take exactly that"),
        values(
            "--mirror", "URI", "Take packages from here and not from this machine's mirror; can be repeated"
        ),
        flag("--offline", "Use only packages that are in the store"),
        value(
            "--progress", "MODE", f"How to show progress: {', '.join(MODES)}", default="auto", choices=MODES
        ),
        flag("--python", "Put in Python, with the libraries that wheels need"),
        flag("-q, --quiet", "Print nothing but the image id"),
        values("-t, --tag", "NAME[:TAG]", "The name of the image; can be repeated", dynamic="images"),
    ),
    words=(0, 1),
    description=(
        "SUITE is a release such as bookworm or trixie; this machine's own if not given. Packages come from "
        "the mirror that this machine uses, and every signature and hash is verified."
    ),
    examples=(
        "tiffin base --python -t finca-base",
        "tiffin base trixie --flavour build --lock base.lock -t build-base",
    ),
)
