"""What stands in /etc of a container about its network and its name: hosts, hostname and resolv.conf."""

from __future__ import annotations

from pathlib import Path

from tiffin.container import job
from tiffin.container.record import Records
from tiffin.engine.standing import FILES, directory_of
from tiffin.errors import InvalidError
from tiffin.network import resolver
from tiffin.network.plan import NAMESERVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.network.plan import NetworkPlan

_RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


def resolver_of(
    record: Record, *, private: bool, forward: bool = False, places: tuple[str, ...] = _RESOLVERS
) -> resolver.Resolver:
    """What its /etc/resolv.conf is to say; with `forward` the name server is one that passes questions on."""
    return resolver.resolv_conf(
        [_read(path) for path in places],
        private=private,
        servers=(NAMESERVER,) if forward else record.dns,
        search=record.dns_search,
        options=record.dns_options,
    )


def lender_of(engine: Engine, record: Record) -> Path | None:
    """The directory of the container whose network it shares, and so the names that are known there."""
    mode, _, name = record.network.partition(":")
    return directory_of(engine, Records(engine.db).need(name)) if mode == "container" else None


def write_files(
    record: Record, network: NetworkPlan, directory: Path, lender: Path | None
) -> job.HostsFile | None:
    """Write what is mounted into /etc; /etc/hosts waits for the address of the container."""
    hosts, hostname, resolv = (directory / name for name in FILES)
    private = network.mode not in ("host", "container")
    extra = [resolver.parse_extra_host(line) for line in record.extra_hosts]
    hostname.write_text(resolver.hostname(record.hostname))
    lent = "" if lender is None else str(lender)
    places = (f"{lent}/resolv.conf",) if lent else _RESOLVERS
    found = resolver_of(record, private=private, forward=network.forward_dns, places=places)
    if network.endpoints:
        from tiffin.network.resolver import by_name_server

        found = by_name_server(found.text)
    resolv.write_text(found.text)
    if private:
        if network.mode in ("loopback", "none") and any(
            line.address == resolver.HOST_GATEWAY for line in extra
        ):
            raise InvalidError(
                f"--add-host …:{resolver.HOST_GATEWAY}: this container's network has no way to the host",
                hint="use --network host, or a network that reaches out",
            )
        return job.HostsFile(
            str(hosts), _own_names(record), tuple((line.name, line.address) for line in extra)
        )
    base = _read(f"{lent}/hosts" if lent else "/etc/hosts")
    hosts.write_text(resolver.hosts(_own_names(record), "", extra, "127.0.0.1", base=base))
    return None


def _own_names(record: Record) -> str:
    """What the container is called in its own /etc/hosts."""
    whole = f"{record.hostname}.{record.domainname} " if record.domainname else ""
    return f"{whole}{record.hostname}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
