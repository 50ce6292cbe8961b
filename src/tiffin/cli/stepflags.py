"""The flags of `tiffin build` that are about how its RUN steps are run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.cli.options import flag, number, optional, value, values

if TYPE_CHECKING:
    from tiffin.cli.options import Arguments
    from tiffin.engine.building.steprequest import StepRequest
    from tiffin.engine.limits import Limits

_LIMITS = ("memory", "memory-swap", "cpu-shares", "cpu-quota", "cpu-period", "cpuset-cpus", "cpuset-mems")
OPTIONS = (
    values(
        "--add-host",
        "HOST:IP",
        "Add a line to /etc/hosts of the RUN instructions; host-gateway is this machine",
    ),
    values(
        "--allow",
        "ENTITLEMENT",
        "Let RUN instructions do this: network.host, security.insecure, device[=NAME]",
    ),
    value("--cgroup-parent", "PATH", "Put the RUN instructions into groups below this cgroup"),
    number("--cpu-period", "MICROSECONDS", "How long the period is that --cpu-quota is a part of"),
    number("--cpu-quota", "MICROSECONDS", "Processor time of a RUN instruction in each period"),
    number("-c, --cpu-shares", "WEIGHT", "Share of processor time of a RUN instruction, compared with 1024"),
    value("--cpuset-cpus", "LIST", "Run RUN instructions on these processors, like 0-3 or 0,2"),
    value("--cpuset-mems", "LIST", "Take their memory from these nodes"),
    optional(
        "--debug-shell",
        "COMMAND",
        "When a RUN instruction fails, open a shell, or this command, in its container as it was left",
        implied="",
    ),
    value("-m, --memory", "BYTES", "The most memory of a RUN instruction, like 2g"),
    value("--memory-swap", "BYTES", "The most memory and swap of a RUN instruction, -1 for any swap"),
    flag("--no-relay", "Let package managers fetch for themselves, and keep nothing of what they fetch"),
    value("--shm-size", "BYTES", "Size of /dev/shm of the RUN instructions, like 2g"),
    values("--ulimit", "NAME=SOFT[:HARD]", "Limit what a RUN instruction may use, like nofile=1024:4096"),
)


def step_request(arguments: Arguments) -> StepRequest:
    """Return what is asked for. Raises InvalidError for what cannot be read."""
    from tiffin.engine.building.steprequest import StepRequest

    asked = StepRequest()
    if lines := arguments.texts("add-host"):
        from tiffin.network.resolver import parse_extra_host

        asked = asked._replace(hosts=tuple(map(parse_extra_host, lines)))
    if names := arguments.texts("allow"):
        from tiffin.build.entitlements import parse_entitlements

        asked = asked._replace(allow=parse_entitlements(names))
    if size := arguments.text("shm-size"):
        from tiffin.cli.units import parse_size

        asked = asked._replace(shm_size=parse_size(size, "--shm-size"))
    if not arguments.given.isdisjoint((*_LIMITS, "ulimit")):
        limits = _limits(arguments)
        asked = asked._replace(resources=limits.resources, rlimits=limits.rlimits)
    if parent := arguments.text("cgroup-parent"):
        asked = asked._replace(cgroup_parent=parent)
    if (command := arguments.text("debug-shell")) is not None:
        asked = asked._replace(debug=_shell(command))
    if "no-relay" in arguments.given:
        asked = asked._replace(relay=not arguments.flag("no-relay"))
    return asked


def _limits(arguments: Arguments) -> Limits:
    from tiffin.engine.limits import parse_limits
    from tiffin.errors import InvalidError

    words = [(name, text) for name in _LIMITS if (text := arguments.text(name)) is not None]
    words += [("ulimit", text) for text in arguments.texts("ulimit")]
    try:
        return parse_limits(tuple(words))
    except InvalidError as error:
        error.exit_status = None  # it is that of a command that passes on the status of a container
        raise


def _shell(command: str) -> tuple[str, ...]:
    """The words of a command for a terminal, which has to be there."""
    import shlex

    from tiffin.errors import InvalidError

    if not os.isatty(0) or not (os.isatty(2) or os.isatty(1)):
        raise InvalidError(
            "--debug-shell needs a terminal, and this command has none",
            code="no-terminal",
            hint="run it by hand in a terminal, or leave --debug-shell away",
        )
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise InvalidError(f"--debug-shell={command}: {error}".lower(), code="usage") from None
