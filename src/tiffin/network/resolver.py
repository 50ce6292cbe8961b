"""What /etc/hosts, /etc/hostname and /etc/resolv.conf hold inside a container (pure).

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import socket

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "HOST_GATEWAY",
    "NAME_SERVER",
    "ExtraHost",
    "Resolver",
    "by_name_server",
    "check",
    "hostname",
    "hosts",
    "parse_extra_host",
    "resolv_conf",
]

HOST_GATEWAY = "host-gateway"
NAME_SERVER = "127.0.0.11"
"""Where a container on networks finds its own name server."""

_STANDARD = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


class ExtraHost(NamedTuple):
    """A line that `--add-host` asks for; the address may be the word host-gateway."""

    name: str
    address: str


class Resolver(NamedTuple):
    """Contents for resolv.conf, and whether it names no server at all."""

    text: str
    empty: bool


def parse_extra_host(text: str) -> ExtraHost:
    """Return what `NAME:ADDRESS` or `NAME=ADDRESS` says."""
    cut = min((place for place in (text.find(":"), text.find("=")) if place >= 0), default=-1)
    name, address = text[: max(cut, 0)], text[cut + 1 :].strip("[]")
    if cut < 1 or not name.strip() or any(space in name for space in " \t"):
        raise InvalidError(f"--add-host {text}: expected NAME:ADDRESS", hint="for example db:10.0.0.5")
    if address != HOST_GATEWAY and not _is_address(address):
        raise InvalidError(
            f"--add-host {text}: {address!r} is not an IP address", hint=f"or write {name}:{HOST_GATEWAY}"
        )
    return ExtraHost(name, address)


def check(servers: Iterable[str], search: Iterable[str], options: Iterable[str]) -> None:
    """Refuse what would not be one word of /etc/resolv.conf, or no address of a server."""
    for server in servers:
        if not _is_address(server):
            raise InvalidError(f"--dns {server}: not an IP address", hint="for example --dns 10.0.0.53")
    for flag, words in (("--dns-search", search), ("--dns-option", options)):
        for word in words:
            if not word or any(character.isspace() for character in word):
                raise InvalidError(
                    f"{flag} {word!r}: expected one word", hint="give the option once for each"
                )


def hosts(
    name: str, address: str, extra: Sequence[ExtraHost] = (), gateway: str = "", base: str | None = None
) -> str:
    """Return /etc/hosts: the standard names, the extra ones, and the container's own name.

    `base` is the host's file, kept as it is when the container shares the host's network.
    """
    lines = (
        [f"{number}\t{names}" for number, names in _STANDARD]
        if base is None
        else base.rstrip("\n").split("\n")
    )
    for line in extra:
        if line.address != HOST_GATEWAY:
            lines.append(f"{line.address}\t{line.name}")
        elif gateway:
            lines.append(f"{gateway}\t{line.name}")
        else:
            raise InvalidError(
                f"--add-host {line.name}:{HOST_GATEWAY}: this container's network has no way to the host",
                hint="use --network host, or a network that reaches out",
            )
    if base is None:
        lines.append(f"{address or '127.0.0.1'}\t{name}")
    return "\n".join(lines) + "\n"


def hostname(name: str) -> str:
    """Return /etc/hostname."""
    return f"{name}\n"


def resolv_conf(
    candidates: Iterable[str],
    *,
    private: bool,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Resolver:
    """Return /etc/resolv.conf made from the first of the host's files that has a usable name server.

    In a private network a server on the host's loopback (systemd-resolved's 127.0.0.53, dnsmasq)
    means the container's own loopback, so it is dropped and the next candidate is tried.
    `servers`, `search` and `options` replace what the files say, as `--dns`, `--dns-search` and
    `--dns-option` do; a search of "." alone means none.
    """
    texts = list(candidates) or [""]
    chosen = next((text for text in texts if _servers(text, private=private)), texts[0])
    lines = [f"nameserver {server}" for server in servers or _servers(chosen, private=private)]
    found_search = list(search) or _last(chosen, "search") or _last(chosen, "domain")
    if found_search and found_search != ["."]:
        lines.append("search " + " ".join(found_search))
    found_options = list(options) or [word for line in _all(chosen, "options") for word in line]
    if found_options:
        lines.append("options " + " ".join(found_options))
    return Resolver(
        "".join(line + "\n" for line in lines), not (servers or _servers(chosen, private=private))
    )


def by_name_server(text: str) -> Resolver:
    """Return /etc/resolv.conf for a container with a name server of its own, which asks those of `text`.

    A name without a dot is asked for as it is first: those of containers have none.
    """
    lines = [line for line in text.splitlines() if not line.startswith(("nameserver", "options"))]
    options = [word for words in _all(text, "options") for word in words]
    if not any(word.startswith("ndots:") for word in options):
        options.append("ndots:0")
    made = [f"nameserver {NAME_SERVER}", *lines, f"options {' '.join(options)}"]
    return Resolver("".join(f"{line}\n" for line in made), empty=False)


def _servers(text: str, *, private: bool) -> list[str]:
    found = [line[0] for line in _all(text, "nameserver")]
    return [server for server in found if not (private and _is_loopback(server))]


def _is_loopback(server: str) -> bool:
    return server.startswith("127.") or server.partition("%")[0] in ("::1", "0:0:0:0:0:0:0:1")


def _all(text: str, keyword: str) -> list[list[str]]:
    lines = (line.split("#", 1)[0].split(";", 1)[0].split() for line in text.splitlines())
    return [words[1:] for words in lines if len(words) > 1 and words[0] == keyword]


def _last(text: str, keyword: str) -> list[str]:
    found = _all(text, keyword)
    return found[-1] if found else []


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False
