"""The flags of `tiffin build` that are about how its RUN steps are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.options import value, values

if TYPE_CHECKING:
    from tiffin.cli.options import Arguments
    from tiffin.engine.steprequest import StepRequest

OPTIONS = (
    values(
        "--add-host",
        "HOST:IP",
        "Add a line to /etc/hosts of the RUN instructions; host-gateway is this machine",
    ),
    value("--shm-size", "BYTES", "Size of /dev/shm of the RUN instructions, like 2g"),
    values("--ulimit", "NAME=SOFT[:HARD]", "Limit what a RUN instruction may use, like nofile=1024:4096"),
)


def step_request(arguments: Arguments) -> StepRequest:
    """Return what is asked for. Raises InvalidError for what cannot be read."""
    from tiffin.engine.steprequest import StepRequest

    asked = StepRequest()
    if lines := arguments.texts("add-host"):
        from tiffin.network.resolver import parse_extra_host

        asked = asked._replace(hosts=tuple(map(parse_extra_host, lines)))
    if size := arguments.text("shm-size"):
        from tiffin.cli.units import parse_size

        asked = asked._replace(shm_size=parse_size(size, "--shm-size"))
    if limits := arguments.texts("ulimit"):
        from tiffin.runtime.rlimits import parse_ulimits

        asked = asked._replace(rlimits=parse_ulimits(limits))
    return asked
