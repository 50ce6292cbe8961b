"""Join a network or leave one: asked of a container's supervisor, done by it.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from tiffin.container import control
from tiffin.container.job import unpack_error
from tiffin.errors import ConflictError
from tiffin.network.plan import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tiffin.container.job import Job
    from tiffin.container.life import Life

__all__ = ["ask", "change"]


def ask(directory: Path, change: dict[str, Any]) -> bool:
    """Have the supervisor with its socket there do it; False if there is none. Raises why it could not."""
    connection = control.connect(directory)
    if connection is None:
        return False
    with connection:
        received = connection.receive() if connection.send({"verb": "network", **change}) else None
    if received is None:
        return False
    if "error" in received[0]:
        raise unpack_error(received[0]["error"])
    return True


def change(life: Life, job: Job, message: dict[str, Any], *, alive: bool) -> Job:
    """Do what the message asks, now if the container is `alive`, and return the job for its next lives."""
    plan = job.network
    if plan.mode not in ("bridge", "networks"):
        raise ConflictError(
            f"the container was started with --network {plan.mode}, and joins no others while it runs",
            code="no-bridge",
            hint="stop it first, or run it with --network NAME",
        )
    joined = Endpoint.from_wire(message["connect"]) if "connect" in message else None
    if alive:
        networks = life.of_networks()
        if joined is not None:
            networks.connect(joined)
        else:
            networks.disconnect(str(message["disconnect"]))
        life.retarget()
    if joined is not None:
        endpoints = (*plan.endpoints, joined)
    else:
        endpoints = tuple(one for one in plan.endpoints if one.network != message["disconnect"])
    return job._replace(network=plan._replace(endpoints=endpoints))
