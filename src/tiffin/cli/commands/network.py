"""tiffin network create, ls, inspect, rm, prune, connect and disconnect."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import MANY, Command
from tiffin.cli.options import flag, refuse, usage, value, values
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.networks import NetworkSummary

FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_FILTERS = ("label", "label!", "until")
HEADINGS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
_CLUSTER = "there are no clusters"
_ADDRESSES = "addresses are given out by tiffin, one after the other"


def create(session: Session, arguments: Arguments) -> int:
    """Make a network and print its id."""
    from tiffin.engine.networkmaking import NetworkRequest
    from tiffin.engine.networks import create as create_network

    if not arguments.flag("ipv4"):
        raise usage("--ipv4=false: every network has IPv4", session.path)
    request = NetworkRequest(
        name=arguments.words[0],
        driver=arguments.text("driver") or "bridge",
        subnets=_split(arguments.texts("subnet")),
        gateways=_split(arguments.texts("gateway")),
        ranges=_split(arguments.texts("ip-range")),
        internal=arguments.flag("internal"),
        ipv6=arguments.flag("ipv6"),
        labels=tuple(arguments.pairs("label").items()),
        options=tuple(arguments.pairs("opt").items()),
    )
    with session.engine() as engine:
        session.print(create_network(engine, request))
    return 0


def list_(session: Session, arguments: Arguments) -> int:
    """List networks by name."""
    from tiffin.engine.networks import list_networks

    with session.engine() as engine:
        found = select(list_networks(engine), arguments.texts("filter"))
    rows = [_row(network, whole=arguments.flag("no-trunc")) for network in found]
    form = arguments.text("format")
    if arguments.flag("quiet") and form in (None, "table"):
        for row in rows:
            session.print(str(row["ID"]))
        return 0
    print_rows(session, rows, HEADINGS, ["ID", "Name", "Driver", "Scope"], form)
    return 0


def inspect(session: Session, arguments: Arguments) -> int:
    """Show networks; a name that was not found fails after them."""
    from tiffin.cli.commands.inspect import show

    return show(session, arguments, ("network",))


def remove(session: Session, arguments: Arguments) -> int:
    """Remove networks and print their names."""
    from tiffin.engine.networks import remove as remove_network

    def act(name: str) -> str | None:
        try:
            remove_network(engine, name)
        except NotFoundError:
            if arguments.flag("force"):
                return None
            raise
        return name

    with session.engine() as engine:
        return session.each(arguments.words, act)


def prune(session: Session, arguments: Arguments) -> int:
    """Remove networks that no container is on."""
    from tiffin.cli.units import has_labels, parse_filters, parse_moment
    from tiffin.engine.networks import prune as prune_networks

    wanted = parse_filters(arguments.texts("filter"), PRUNE_FILTERS)
    if len(wanted.get("until", [])) > 1:
        raise usage("the filter until can be given once", session.path)
    moments = [parse_moment(text, time.time(), "--filter until") for text in wanted.get("until", [])]

    def spares(created: float, labels: Mapping[str, str]) -> bool:
        known = dict(labels)
        unwanted = any(has_labels(known, [label]) for label in wanted.get("label!", []))
        young = bool(moments) and created >= moments[0]
        return young or unwanted or not has_labels(known, wanted.get("label", []))

    warning = "WARNING! This will remove all custom networks not used by at least one container."
    if not arguments.flag("force") and not session.confirm(warning):
        return 0
    with session.engine() as engine:
        gone = prune_networks(engine, spares)
    if gone:
        session.print("\n".join(["Deleted Networks:", *gone, ""]))
    return 0


def connect(session: Session, arguments: Arguments) -> int:
    """Put a container on a network."""
    from tiffin.engine.networkflags import place
    from tiffin.engine.networks import connect as connect_network

    name, container = arguments.words
    fields = ("ip", "ip6", "gw-priority")
    given = {key: text for key in fields if (text := arguments.text(key))}
    wanted = place({"name": name, **given}, arguments.texts("alias"), f"network connect {name}")
    with session.engine() as engine:
        connect_network(engine, name, container, wanted)
    return 0


def disconnect(session: Session, arguments: Arguments) -> int:
    """Take a container off a network."""
    from tiffin.engine.networks import disconnect as disconnect_network

    name, container = arguments.words
    with session.engine() as engine:
        disconnect_network(engine, name, container, force=arguments.flag("force"))
    return 0


def select(networks: Sequence[NetworkSummary], filters: tuple[str, ...]) -> list[NetworkSummary]:
    """Those networks that all filters let through; values of one filter are alternatives."""
    from tiffin.cli.units import has_labels, parse_filters, parse_truth

    wanted = parse_filters(filters, FILTERS)
    chosen = [one for one in networks if has_labels(dict(one.labels), wanted.get("label", []))]
    tests: Mapping[str, Callable[[NetworkSummary, str], bool]] = {
        "driver": lambda one, text: one.driver == text,
        "id": lambda one, text: one.id.startswith(text),
        "name": lambda one, text: text in one.name,
        "scope": lambda _one, text: text == "local",
        "type": lambda one, text: text == ("builtin" if one.predefined else "custom"),
    }
    if "dangling" in wanted:
        dangling = parse_truth("dangling", wanted["dangling"][-1])
        chosen = [one for one in chosen if (not one.predefined and not one.containers) == dangling]
    for name, test in tests.items():
        if name in wanted:
            chosen = [one for one in chosen if any(test(one, text) for text in wanted[name])]
    return chosen


def _split(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Docker takes several values of these with commas between them, too."""
    return tuple(part for text in texts for part in text.split(","))


def _row(network: NetworkSummary, *, whole: bool) -> Row:
    labels = dict(network.labels)
    return {
        "ID": network.id if whole else network.id[:12],
        "Name": network.name,
        "Driver": network.driver,
        "Scope": "local",
        "IPv6": str(network.ipv6).lower(),
        "Internal": str(network.internal).lower(),
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda key: labels.get(key, ""),
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(network.created)),
    }


CREATE = Command(
    "create [OPTIONS] NETWORK",
    create,
    options=(
        value("-d, --driver", "DRIVER", "How it is made: bridge", default="bridge"),
        values("--gateway", "ADDRESS", "The address of the bridge itself in the subnet"),
        flag("--internal", "No way out: its containers reach each other and nothing else"),
        values("--ip-range", "SUBNET", "Give addresses from this part of the subnet only"),
        flag("--ipv6", "IPv6 too"),
        values("--label", "KEY=VALUE", "Put a label on the network"),
        values("-o, --opt", "NAME=VALUE", "mtu, com.docker.network.bridge.name or ….enable_ip_masquerade"),
        values("--subnet", "SUBNET", "Its addresses, such as 172.30.0.0/16; one for IPv4 and one for IPv6"),
        *refuse(_CLUSTER, "--attachable", "--config-from=", "--config-only", "--ingress", "--scope=local"),
        *refuse(_ADDRESSES, "--aux-address=", "--ipam-driver=default", "--ipam-opt="),
        flag("--ipv4", "", default=True),
    ),
    words=(1, 1),
    examples=("tiffin network create web", "tiffin network create --subnet 172.30.0.0/16 --internal backend"),
)
LIST = Command(
    "ls [OPTIONS]",
    list_,
    options=(
        values("-f, --filter", "NAME=VALUE", f"Show only some: {', '.join(FILTERS)}"),
        format_option(),
        NO_TRUNC,
        flag("-q, --quiet", "Show only ids"),
    ),
    examples=("tiffin network ls", "tiffin network ls -q --filter type=custom"),
)
INSPECT = Command(
    "inspect [OPTIONS] NETWORK [NETWORK...]",
    inspect,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Driver}}"),
        *refuse("all that is known is shown", "-v, --verbose"),
    ),
    words=(1, MANY),
    names="networks",
    examples=("tiffin network inspect --format '{{range .IPAM.Config}}{{.Subnet}}{{end}}' web",),
)
REMOVE = Command(
    "rm [OPTIONS] NETWORK [NETWORK...]",
    remove,
    options=(flag("-f, --force", "No error if there is none"),),
    words=(1, MANY),
    names="networks",
    examples=("tiffin network rm web",),
)
PRUNE = Command(
    "prune [OPTIONS]",
    prune,
    options=(
        values("--filter", "NAME=VALUE", "Remove only some: until=24h, label=KEY[=VALUE]"),
        flag("-f, --force", "Do not ask"),
    ),
    examples=("tiffin network prune -f",),
)
CONNECT = Command(
    "connect [OPTIONS] NETWORK CONTAINER",
    connect,
    options=(
        values("--alias", "NAME", "Let it be found by this name too"),
        value("--gw-priority", "NUMBER", "The way out leads through the network with the highest"),
        value("--ip", "ADDRESS", "Its IPv4 address there"),
        value("--ip6", "ADDRESS", "Its IPv6 address there"),
        *refuse("containers of a network find each other by name", "--link="),
        *refuse("addresses of the link are the kernel's own choice", "--link-local-ip="),
        *refuse("there are none for bridges", "--driver-opt="),
    ),
    words=(2, 2),
    names="networks",
    examples=("tiffin network connect --alias db backend postgres",),
)
DISCONNECT = Command(
    "disconnect [OPTIONS] NETWORK CONTAINER",
    disconnect,
    options=(flag("-f, --force", "No error if it is not on it"),),
    words=(2, 2),
    names="networks",
    examples=("tiffin network disconnect backend postgres",),
)
