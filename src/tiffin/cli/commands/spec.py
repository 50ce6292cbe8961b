"""tiffin spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.commands import create
from tiffin.cli.commands import run as running
from tiffin.cli.options import flag, refuse, usage, value

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.engine import Engine
    from tiffin.oci.runtimespec import RuntimeSpec

_OF_A_CONTAINER = ("cidfile", "name", "rm", "runtime", "quiet")
_OWN = (
    value("-b, --bundle", "FOLDER", "Write config.json into this folder, beside the root filesystem"),
    flag("--rootless", "Without IMAGE: for a user, with one id in a user namespace"),
    *refuse(
        "a spec is no container; the option is for 'tiffin run'",
        "--cidfile=",
        "--name=",
        "--rm",
        "--runtime=",
    ),
)


def run(session: Session, arguments: Arguments) -> int:
    """Print the document, or write it where a bundle is to be."""
    if arguments.words and arguments.flag("rootless"):
        raise usage(
            "--rootless is for a spec to begin with, and IMAGE or CONTAINER has one of its own", session.path
        )
    with session.engine() as engine:
        from tiffin.engine.specs import text

        document = text(_spec(engine, arguments))
    if bundle := arguments.text("bundle"):
        _write(f"{bundle}/config.json", document)
    else:
        session.stdout.write(document)
    return 0


def _spec(engine: Engine, arguments: Arguments) -> RuntimeSpec:
    from tiffin.engine import specs

    if not arguments.words:
        return specs.plain(engine, rootless=arguments.flag("rootless"))
    found = None
    if len(arguments.words) == 1 and set(arguments.given) <= {"bundle"}:
        found = specs.of_container(engine, arguments.words[0])
    return found or specs.of_request(engine, running.request(arguments, detach=True))


def _write(path: str, document: str) -> None:
    from tiffin.errors import ConflictError, NotFoundError

    try:
        with open(path, "x", encoding="utf-8") as file:  # noqa: PTH123 - pathlib's open is the same, later
            file.write(document)
    except FileExistsError:
        raise ConflictError(f"{path} exists", hint="remove it, or name another folder") from None
    except FileNotFoundError:
        raise NotFoundError(
            f"{path} cannot be written: there is no such folder", hint="make it first"
        ) from None


COMMAND = Command(
    "spec [OPTIONS] [IMAGE|CONTAINER [COMMAND] [ARG...]]",
    run,
    options=(*(each for each in create.COMMAND.options if each.long not in _OF_A_CONTAINER), *_OWN),
    words=(0, MANY),
    names="images",
    wraps=True,
    description=(
        "Prints the config.json of what 'tiffin run' with the same options would start, for crun, runc and "
        "other runtimes. A container's name gives its own. Without IMAGE it is a shell in a terminal, as of "
        "'runc spec'. The root filesystem belongs into rootfs beside it: 'tiffin export' writes one."
    ),
    examples=(
        "tiffin spec finca-serving",
        "tiffin spec --memory 2g --bundle ./bundle finca-serving python -m serving",
        "tiffin spec --rootless",
    ),
)
