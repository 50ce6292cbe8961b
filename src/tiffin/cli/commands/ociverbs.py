"""The verbs of `tiffin oci`: their options, and what each of them calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tiffin.cli.command import MANY
from tiffin.cli.options import flag, number, refuse, value, values

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tiffin.cli.commands.oci import Call
    from tiffin.cli.options import Option
    from tiffin.runtime.ocistate import Directory, State

_FORMATS = ("table", "json")
_PROCESS = (
    value("--console-socket", "PATH", "Send the terminal to this socket"),
    value("--pid-file", "FILE", "Write the number of the process into this file"),
    number("--preserve-fds", "COUNT", "Pass so many descriptors from 3 on", default=0),
)
_CREATE = (
    value("-b, --bundle", "FOLDER", "The bundle, with config.json", default="."),
    *_PROCESS,
    flag("--no-new-keyring", "Leave it the session keyring of the caller"),
    *refuse("the root is changed by pivot_root alone", "--no-pivot"),
)
_DETACH = flag("-d, --detach", "Do not wait for the end")


class Verb(NamedTuple):
    """What is done, with how many words and which options."""

    act: Callable[[Call], int]
    usage: str
    summary: str
    options: tuple[Option, ...] = ()
    least: int = 1
    most: int = 1
    wraps: bool = False


def _creation(call: Call) -> Any:
    from tiffin.runtime.lifecycle import Creation

    given = call.arguments
    return Creation(
        say=call.say,
        console=given.text("console-socket") or "",
        pid_file=given.text("pid-file") or "",
        preserved=_preserved(call),
        keyring=not given.flag("no-new-keyring"),
    )


def _preserved(call: Call) -> int:
    """How many descriptors pass: those that were asked for, after those of systemd's protocol for sockets."""
    count = call.arguments.number("preserve-fds") or 0
    listening = call.session.environ.get("LISTEN_FDS", "")
    return count + (int(listening) if listening.isdigit() else 0)


def _create(call: Call) -> int:
    from tiffin.runtime.lifecycle import create

    create(call.directory, call.arguments.text("bundle") or ".", _creation(call))
    return 0


def _start(call: Call) -> int:
    from tiffin.runtime.lifecycle import start

    start(call.directory, call.say)
    return 0


def _state(call: Call) -> int:
    import json

    directory = call.directory
    call.session.print(json.dumps(_shown(directory, directory.read()), indent=2))
    return 0


def _shown(directory: Directory, state: State) -> dict[str, Any]:
    """The state of the runtime-spec, and what runc shows besides."""
    from tiffin.runtime.ocistate import document

    return {**document(directory, state), "rootfs": state.rootfs, "created": state.created, "owner": ""}


def _kill(call: Call) -> int:
    from tiffin.container.signals import parse_signal
    from tiffin.runtime.lifecycle import kill

    text = call.arguments.words[1] if len(call.arguments.words) > 1 else "TERM"
    kill(call.directory, parse_signal(text), everybody=call.arguments.flag("all"))
    return 0


def _update(call: Call) -> int:
    from tiffin.cli.options import usage
    from tiffin.runtime.lifecycle import update

    path = call.arguments.text("resources")
    if not path:
        raise usage(
            "'oci update' needs --resources: a file with the limits, or - for standard input", "oci update"
        )
    with open(0 if path == "-" else path, "rb") as file:  # noqa: PTH123 - it may be a descriptor
        update(call.directory, file.read())
    return 0


def _pause(call: Call) -> int:
    from tiffin.runtime.lifecycle import freeze

    freeze(call.directory, on=True)
    return 0


def _resume(call: Call) -> int:
    from tiffin.runtime.lifecycle import freeze

    freeze(call.directory, on=False)
    return 0


def _delete(call: Call) -> int:
    from tiffin.runtime.lifecycle import delete

    force = call.arguments.flag("force")
    if force and not call.directory.path.exists():
        return 0
    delete(call.directory, call.say, force=force)
    return 0


def _run(call: Call) -> int:
    from tiffin.runtime.lifecycle import create, delete, start

    detach, directory = call.arguments.flag("detach"), call.directory
    child = create(
        directory, call.arguments.text("bundle") or ".", _creation(call)._replace(waits=not detach)
    )
    try:
        start(directory, call.say)
    except BaseException:
        child.end()
        delete(directory, call.say, force=True)
        raise
    if detach:
        return 0
    code = _wait(child)
    if not call.arguments.flag("keep"):
        delete(directory, call.say)
    return code


def _exec(call: Call) -> int:
    from tiffin.runtime.entering import Wanted, enter

    given = call.arguments
    words = given.words[1:]
    process = given.text("process")
    if bool(words) == bool(process):
        from tiffin.cli.options import usage

        raise usage("'oci exec' takes a command, or --process with a file that has one", "oci exec")
    detach = given.flag("detach")
    wanted = Wanted(
        file=process or "",
        args=tuple(words),
        env=given.texts("env"),
        cwd=given.text("cwd") or "",
        user=given.text("user") or "",
        terminal=given.flag("tty"),
        console=given.text("console-socket") or "",
        pid_file=given.text("pid-file") or "",
        preserved=_preserved(call),
        waits=not detach,
    )
    child = enter(call.directory, wanted)
    return 0 if detach else _wait(child)


def _wait(child: Any) -> int:
    """Wait for the end, with a terminal as its user; signals go to it."""
    from tiffin.container.foreground import forwarding

    with forwarding(child.kill, lambda _: None):
        if child.console is not None:
            _converse(child)
        return int(child.wait())


def _converse(child: Any) -> None:
    """Be the user of the terminal, until the process ends."""
    import contextlib

    from tiffin.container.foreground import following_size
    from tiffin.container.loop import Input, Loop, Output
    from tiffin.linux.terminal import RawMode

    loop, over = Loop(), False

    def end() -> None:
        nonlocal over
        over = True

    with contextlib.ExitStack() as stack:
        stack.enter_context(following_size(child.console, 0))
        if os.isatty(0):
            stack.enter_context(RawMode(0))
        output = Output(loop, child.console, lambda _: None, 1)
        stack.callback(Input(loop, 0, child.console, close_sink=False).close)
        loop.watch(child.pidfd, end)
        while not over:
            loop.turn()
        output.drain()
    child.console = None
    loop.close()


def _list(call: Call) -> int:
    import json

    from tiffin.runtime.ocistate import containers

    found = [_shown(directory, state) for directory, state in containers(call.root)]
    if call.arguments.flag("quiet"):
        for each in found:
            call.session.print(each["id"])
    elif call.arguments.text("format") == "json":
        call.session.print(json.dumps(found))
    else:
        from tiffin.ui.columns import table

        titles = ("ID", "PID", "STATUS", "BUNDLE", "CREATED")
        rows = [[str(each[title.lower()]) for title in titles] for each in found]
        for line in table([titles, *rows]):
            call.session.print(line)
    return 0


def _ps(call: Call) -> int:
    import json

    from tiffin.runtime.lifecycle import pids

    found = pids(call.directory)
    if call.arguments.text("format") == "json":
        call.session.print(json.dumps(found))
        return 0
    for pid in found:
        call.session.print(str(pid))
    return 0


def _features(call: Call) -> int:
    import json

    from tiffin.runtime.features import features

    call.session.print(json.dumps(features(), indent=2))
    return 0


VERBS = {
    "create": Verb(_create, "[OPTIONS] ID", "Make a container, whose program waits for its start", _CREATE),
    "start": Verb(_start, "ID", "Let the program of a created container begin"),
    "state": Verb(_state, "ID", "Print the state of a container"),
    "kill": Verb(
        _kill,
        "[OPTIONS] ID [SIGNAL]",
        "Send a signal to the first process, TERM unless told otherwise",
        (flag("-a, --all", "Send it to every process of the container"),),
        most=2,
    ),
    "delete": Verb(
        _delete,
        "[OPTIONS] ID",
        "Take away what is left of a container that has stopped",
        (flag("-f, --force", "Kill it first if it has not; nothing to do if there is none"),),
    ),
    "run": Verb(
        _run,
        "[OPTIONS] ID",
        "Create a container, start it, wait for its end and delete it",
        (*_CREATE, _DETACH, flag("--keep", "Leave the container when it has ended")),
    ),
    "exec": Verb(
        _exec,
        "[OPTIONS] ID COMMAND [ARG...]",
        "Start a further process in a running container",
        (
            *_PROCESS,
            _DETACH,
            value("-p, --process", "FILE", "Read the process, as in config.json, from this file"),
            value("--cwd", "PATH", "The directory to start in"),
            values("-e, --env", "NAME=VALUE", "Set a variable"),
            value("-u, --user", "UID[:GID]", "Run as this user, by number"),
            flag("-t, --tty", "Give it a terminal"),
        ),
        most=MANY,
        wraps=True,
    ),
    "pause": Verb(_pause, "ID", "Hold all processes of a container still"),
    "resume": Verb(_resume, "ID", "Let the processes of a paused container go on"),
    "update": Verb(
        _update,
        "--resources FILE ID",
        "Change the limits of a container",
        (
            value(
                "-r, --resources",
                "FILE",
                "The limits as in config.json's linux.resources; - for standard input",
            ),
        ),
    ),
    "list": Verb(
        _list,
        "[OPTIONS]",
        "List the containers",
        (
            flag("-q, --quiet", "Only their ids"),
            value("-f, --format", "FORMAT", "table or json", default="table", choices=_FORMATS),
        ),
        least=0,
        most=0,
    ),
    "ps": Verb(
        _ps,
        "[OPTIONS] ID",
        "Show the numbers of the processes of a container",
        (value("-f, --format", "FORMAT", "table or json", default="table", choices=_FORMATS),),
    ),
    "features": Verb(
        _features, "", "Print what this runtime can do, as the runtime-spec has it", least=0, most=0
    ),
}
