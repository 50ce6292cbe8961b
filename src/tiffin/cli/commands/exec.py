"""tiffin exec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, value, values

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments

OPTIONS = (
    flag("-d, --detach", "Run the command in the background"),
    value("--detach-keys", "KEYS", "Leave a command with a terminal by these keys, like ctrl-p,ctrl-q"),
    values("-e, --env", "NAME[=VALUE]", "Set a variable; without a value it comes from the environment"),
    values("--env-file", "FILE", "Read variables from a file"),
    flag("-i, --interactive", "Keep standard input open"),
    flag("--privileged", "Give the command all capabilities in the container's user namespace"),
    flag("-t, --tty", "Give the command a terminal"),
    value("-u, --user", "USER[:GROUP]", "Run as this user, by name or number"),
    value("-w, --workdir", "PATH", "The directory to start in"),
)


def run(session: Session, arguments: Arguments) -> int:
    """Run a command in a container; the status is the command's."""
    from tiffin.cli.clientflags import detach_keys, left, need_terminal
    from tiffin.cli.commands.run import files
    from tiffin.engine.containers import ExecRequest, exec_

    name, *command = arguments.words
    keys = detach_keys(session, arguments)
    typed = arguments.flag("interactive") and arguments.flag("tty") and not arguments.flag("detach")
    if typed:
        need_terminal(session)
    request = ExecRequest(
        command=tuple(command),
        detach=arguments.flag("detach"),
        interactive=arguments.flag("interactive"),
        tty=arguments.flag("tty"),
        env=arguments.texts("env"),
        env_files=files(arguments.texts("env-file")),
        user=arguments.text("user"),
        workdir=arguments.text("workdir"),
        privileged=arguments.flag("privileged"),
        keys=keys if typed else b"",
    )
    with session.engine() as engine:
        session.stdout.flush()
        code = exec_(engine, name, request)
    return left(session) if code is None else code


COMMAND = Command(
    "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    run,
    options=OPTIONS,
    words=(2, MANY),
    names="running",
    wraps=True,
    passes_status=True,
    examples=("tiffin exec -it serving sh", "tiffin exec -e A=b serving env"),
)
