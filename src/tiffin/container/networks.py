"""A container's networks while it lives: its name server, its files in /etc, and joining and leaving.

Only containers on networks that users have made have this. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from pathlib import Path

from tiffin.network.attach import write_hosts
from tiffin.network.nameserver import NameServer
from tiffin.network.resolver import NAME_SERVER
from tiffin.network.seating import home_of, leading, sit_down_at, stand_up
from tiffin.network.zone import Zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.container.job import Job
    from tiffin.container.loop import Loop
    from tiffin.network.attach import Attachment
    from tiffin.network.plan import Endpoint

__all__ = ["Networks"]


class Networks:
    """Begins when the container is attached, until `close`. `job` says which networks there are now."""

    def __init__(self, job: Job, loop: Loop, attachment: Attachment) -> None:
        self.job = job
        self._attachment = attachment
        self._names = NameServer(loop, attachment.namespace, (), job.network.dns)
        self._renew()

    def close(self) -> None:
        """Answer no more."""
        self._names.close()

    def connect(self, endpoint: Endpoint) -> None:
        """Join a network."""
        sit_down_at(self._attachment, self.job.network, endpoint)
        self._now((*self.job.network.endpoints, endpoint))

    def disconnect(self, network: str) -> None:
        """Leave the network of that id."""
        stand_up(self._attachment, self.job.network, network)
        self._now(tuple(one for one in self.job.network.endpoints if one.network != network))

    def _now(self, endpoints: tuple[Endpoint, ...]) -> None:
        self.job = self.job._replace(network=self.job.network._replace(endpoints=endpoints))
        self._renew()
        self._write_files()

    def _renew(self) -> None:
        plan = self.job.network
        home = home_of(plan)
        self._names.zones = [Zone(one.name, home.place(one.network)) for one in plan.endpoints]
        # A network without a way out has none for questions either.
        self._names.forwards = plan.mode == "bridge" or leading(plan.endpoints) is not None

    def _write_files(self) -> None:
        hosts = self.job.hosts
        if hosts is None:
            return
        write_hosts(hosts.path, hosts.name, hosts.extra, self._attachment)
        place = Path(hosts.path).with_name("resolv.conf")
        lines = [line for line in place.read_text().splitlines() if not line.startswith("nameserver")]
        with place.open("w", encoding="utf-8") as file:  # in place: the container has this very file mounted
            file.write("\n".join([f"nameserver {NAME_SERVER}", *lines]) + "\n")
