"""The command line: find one command, run it, present what went wrong. The only exit.

Statuses: the command's own; 1 for a failure, 125 for one of `run` and `exec`,
which pass on the container's; 130 after Ctrl-C. A failure is a line that says
what is wrong and one that says what to do; a traceback only with TIFFIN_DEBUG=1.

Imports as little as it can: `tiffin version` has to be as fast as Python.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.cli.command import Command
    from tiffin.cli.options import Arguments

FAILED = 1
FAILED_BEFORE_RUNNING = 125
INTERRUPTED = 130
BROKEN_PIPE = 141
_SELDOM = 20_000
"""New objects between two searches for rubbish: modules make very many, and none of them is rubbish."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; the status is what the process has to exit with.

    Without `words` the command is that of this process, which then ends here.
    """
    status = _run(list(sys.argv[1:] if words is None else words))
    if words is None:
        _end(status)
    return status


def oci() -> int:
    """Be `tiffin oci`, for engines that take the path of a runtime and nothing beside it."""
    status = _run(["oci", *sys.argv[1:]])
    _end(status)
    return status


def _end(status: int) -> None:
    """End the process at once: the interpreter would take apart piece by piece what the kernel frees."""
    threads = sys.modules.get("threading")
    if threads is not None and threads.active_count() > 1:
        return  # something goes on, which the interpreter waits for
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _run(words: list[str]) -> int:
    gc.set_threshold(_SELDOM)
    chosen = _Chosen()
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        _stand_in()
    try:
        _tolerate_names(sys.stdout)
        status = _dispatch(words, chosen)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, which is its right; nothing must be flushed into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the one place where every failure becomes a line
        from tiffin.cli.failure import present

        own = FAILED_BEFORE_RUNNING if chosen.passes_status else FAILED
        return present(error, own, debug=chosen.debug)
    return status


def _stand_in() -> None:
    """Let streams that the caller has closed lead to nothing: else the next file would get their number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(fd, fd == number)
            setattr(sys, name, os.fdopen(fd, mode, encoding="utf-8", errors="replace"))


class _Chosen:
    """What is known of the command by the time that something fails."""

    __slots__ = ("debug", "passes_status")

    def __init__(self) -> None:
        self.debug = os.environ.get("TIFFIN_DEBUG", "") not in ("", "0")
        self.passes_status = False


def _dispatch(words: list[str], chosen: _Chosen) -> int:
    if not words or words[0] in ("--help", "-h"):
        from tiffin.cli.help import overview

        sys.stdout.write(overview())
        return 0
    overrides, words = _global(words, chosen)
    if words and words[0] == "--version":
        words = ["version", *words[1:]]
    path, command, words = _choose(words)
    if command is None:
        from tiffin.cli.help import group

        sys.stdout.write(group(path))
        return 0
    chosen.passes_status = command.passes_status
    arguments = _arguments(path, command, words)
    if arguments is None:
        from tiffin.cli.help import manual

        sys.stdout.write(manual(path, command))
        return 0
    from tiffin.cli.command import Session

    return command.run(Session(path, overrides), arguments)


def _global(words: list[str], chosen: _Chosen) -> tuple[dict[str, str], list[str]]:
    """The options before the command, and the words from the command on."""
    if not words[0].startswith("-"):
        return {}, words
    from tiffin.cli.globals import read

    overrides, rest, debug = read(words)
    chosen.debug |= debug
    return overrides, rest


def _choose(words: list[str]) -> tuple[str, Command | None, list[str]]:
    """The path of the command, the command (None for a group alone), and its words."""
    from tiffin.cli import catalog

    path, rest = words[0], words[1:]
    if catalog.is_group(path):
        if not rest or rest[0] in ("--help", "-h"):
            return path, None, rest
        path, rest = f"{path} {rest[0]}", rest[1:]
    found = catalog.find(path)
    if found is None:
        from tiffin.cli.help import unknown_command

        raise unknown_command(path)
    return path, catalog.load(found[0]), rest


def _arguments(path: str, command: Command, words: list[str]) -> Arguments | None:
    """The arguments, their number checked; None if help was asked for."""
    from tiffin.cli.options import HelpAsked, parse

    try:
        arguments = parse(command.options, words, stop_at_word=command.wraps, command=path)
    except HelpAsked:
        return None
    if not command.least <= len(arguments.words) <= command.most:
        from tiffin.cli.help import wrong_count

        raise wrong_count(path, command)
    return arguments


def _tolerate_names(stream: object) -> None:
    """Let file names that are no valid text be printed as the bytes they are."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
