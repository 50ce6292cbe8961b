"""What `--network` and its companions say → places in networks (pure)."""

from __future__ import annotations

from tiffin.container.record import EndpointRecord
from tiffin.errors import InvalidError
from tiffin.network.plan import parse_mac
from tiffin.network.subnets import number_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.engine.request import RunRequest

_AUTOMATIC = ("", "default", "bridge")
_MODES = (*_AUTOMATIC, "host", "none", "pasta", "loopback", "private")
_KEYS = "name, alias, ip, ip6, mac-address and gw-priority"


def parse(request: RunRequest) -> tuple[str, tuple[EndpointRecord, ...]]:
    """Return the mode, empty for the default one, and the networks that users have made.

    The mode is the name of the first network where there is no other. Raises InvalidError.
    """
    places = [parse_one(text) for text in request.networks]
    modes = [place.name for place in places if place.name in _MODES or place.name.startswith("container:")]
    networks = [place for place in places if place.name not in modes]
    _check(request, modes, networks)
    networks[0] = _with_flags(networks[0], request)
    names = [place.name for place in networks]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(f"--network {name} is given twice", "give each network once")
    return "" if modes else networks[0].name, tuple(networks)


def parse_one(text: str) -> EndpointRecord:
    """Return what one `--network` says: a name, or fields such as `name=web,alias=db`."""
    if "=" not in text:
        return EndpointRecord(text)
    from tiffin.fields import split_fields  # a name alone is read without it

    try:
        fields = [field.partition("=") for field in split_fields(text)]
    except ValueError as error:
        raise _invalid(f"--network {text}: {error}", f"the fields are {_KEYS}") from error
    found: dict[str, list[str]] = {}
    for key, equals, value in fields:
        if key not in ("name", "alias", "ip", "ip6", "mac-address", "gw-priority") or not equals or not value:
            raise _invalid(
                f"--network {text}: {key or 'an empty field'} is not a field of it", f"they are {_KEYS}"
            )
        found.setdefault(key, []).append(value)
    if "name" not in found:
        raise _invalid(f"--network {text} names no network", "for example name=web,alias=db")
    last = {key: values[-1] for key, values in found.items()}
    return place(last, tuple(found.get("alias", ())), f"--network {last['name']}")


def place(given: dict[str, str], aliases: tuple[str, ...], who: str) -> EndpointRecord:
    """Return the place in the network `name` with the fields that are given, once they are looked at."""
    priority = given.get("gw-priority", "0")
    digits = priority.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise _invalid(f"{who}: gw-priority={priority} is no whole number", "for example gw-priority=1")
    for alias in aliases:
        if not alias or any(letter.isspace() or letter == "/" for letter in alias):
            raise _invalid(f"{who}: {alias!r} cannot be an alias", "use a name such as db")
    return EndpointRecord(
        given["name"],
        aliases,
        _address(given.get("ip", ""), 4, f"{who}: ip"),
        _address(given.get("ip6", ""), 6, f"{who}: ip6"),
        parse_mac(given["mac-address"], "bridge") if "mac-address" in given else "",
        int(priority),
    )


def _with_flags(first: EndpointRecord, request: RunRequest) -> EndpointRecord:
    """The first network with what the options beside `--network` say."""
    given = {
        key: text
        for key, text in (
            ("ip", request.ip),
            ("ip6", request.ip6),
            ("mac-address", request.mac_address or ""),
        )
        if text
    }
    flags = place({"name": first.name, **given}, request.network_aliases, f"--network {first.name}")
    return first._replace(
        aliases=(*first.aliases, *flags.aliases),
        ip=flags.ip or first.ip,
        ip6=flags.ip6 or first.ip6,
        mac=flags.mac or first.mac,
    )


def _check(request: RunRequest, modes: list[str], networks: list[EndpointRecord]) -> None:
    if not networks:
        what = modes[-1] if modes else "default"
        given = [
            flag
            for flag, value in (
                ("--network-alias", request.network_aliases),
                ("--ip", request.ip),
                ("--ip6", request.ip6),
            )
            if value
        ]
        if given:
            raise _invalid(
                f"{given[0]} has no meaning with --network {what}: it is for networks that users have made",
                "make one with 'tiffin network create', and run the container with --network NAME",
            )
        raise _invalid(f"--network {' and '.join(modes)} cannot be had together", "choose one of them")
    for mode in modes:
        if mode not in _AUTOMATIC:
            raise _invalid(
                f"--network {mode} and {networks[0].name} cannot be had together", "choose one of them"
            )


def _address(text: str, version: int, who: str) -> str:
    if not text:
        return ""
    try:
        number_of(text)
    except ValueError as error:
        raise _invalid(f"{who}: {error}", "for example 172.20.0.10") from error
    if (":" in text) != (version == 6):
        raise _invalid(f"{who}: {text} is no IPv{version} address", "ip is for IPv4, ip6 for IPv6")
    return text


def _invalid(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="network-options", hint=hint, exit_status=125)
