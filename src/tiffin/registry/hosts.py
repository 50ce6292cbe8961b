"""Where a registry is asked: mirrors first, then itself, under which address, and how securely. Pure.

`hostfiles` reads the settings of this machine; here they are applied to a name.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from tiffin.errors import DeniedError
from tiffin.oci.reference import DOCKER_HUB

HUB_HOST: Final = "registry-1.docker.io"
_LOCAL_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_SECURE: Final = ("https",)
_EITHER: Final = ("https", "http")

Use = Literal["all", "digest", "tag"]


class Endpoint(NamedTuple):
    """One address that a repository can be had from.

    `login` is the registry whose credentials belong to it. `schemes` are tried in turn; `verify` is
    False where the certificate may be anything, because someone said so.
    """

    host: str
    repository: str
    login: str
    schemes: tuple[str, ...] = _SECURE
    verify: bool = True
    mirror: bool = False


class Mirror(NamedTuple):
    """Another place for what lies below a prefix: `host[:port][/path]`, for names of the kind `use`."""

    location: str
    schemes: tuple[str, ...] = ()
    insecure: bool = False
    use: Use = "all"


class Rule(NamedTuple):
    """What holds for the images whose full name begins with `prefix`, as a registries.conf says it.

    The prefix is a host, a host and a path, or `*.domain`; `location` takes its place; `origin`
    is the file that the rule comes from.
    """

    prefix: str
    location: str = ""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()
    origin: str = ""

    def matches(self, name: str) -> bool:
        """The rule is about the image `name`."""
        if self.prefix.startswith("*."):
            host = name.partition("/")[0]
            return host.partition(":")[0].endswith(self.prefix[1:])
        return name == self.prefix or name.startswith(self.prefix + "/")

    def moved(self, name: str, location: str) -> str:
        """The name with `location` in the place of the prefix."""
        if self.prefix.startswith("*."):
            _, slash, path = name.partition("/")
            return f"{location}{slash}{path}"
        return location + name[len(self.prefix) :]


class Hosts(NamedTuple):
    """All that this machine was told about registries: rules, and hosts that need not be secure."""

    rules: tuple[Rule, ...] = ()
    insecure: tuple[str, ...] = ()

    def pull_endpoints(self, registry: str, repository: str, *, by_digest: bool) -> tuple[Endpoint, ...]:
        """Where to pull from, in order; the registry itself comes last."""
        name = f"{registry}/{repository}"
        found = [
            self._mirror(rule, mirror, name)
            for rule in self._rules(name)
            for mirror in rule.mirrors
            if mirror.use in ("all", "digest" if by_digest else "tag")
        ]
        # The same host may be named by several files.
        return tuple(dict.fromkeys([*found, self.endpoint(registry, repository)]))

    def endpoint(self, registry: str, repository: str) -> Endpoint:
        """Where the registry itself is; what is pushed goes nowhere else."""
        name = f"{registry}/{repository}"
        rules = self._rules(name)
        insecure = False
        for rule in rules:
            if rule.blocked:
                raise DeniedError(
                    f"{name} must not be used: {rule.origin} blocks {rule.prefix}",
                    code="blocked-registry",
                    hint="use another registry, or have that rule changed",
                )
            insecure = insecure or rule.insecure
        moved = next((rule.moved(name, rule.location) for rule in rules if rule.location), name)
        return self._endpoint(moved, insecure=insecure)

    def _rules(self, name: str) -> list[Rule]:
        """The rules about `name`: of those with the same origin only the most exact one."""
        fitting = [rule for rule in self.rules if rule.matches(name)]
        best: dict[str, Rule] = {}
        for rule in fitting:
            known = best.get(rule.origin)
            if known is None or len(rule.prefix) > len(known.prefix):
                best[rule.origin] = rule
        return list(best.values())

    def _mirror(self, rule: Rule, mirror: Mirror, name: str) -> Endpoint:
        found = self._endpoint(rule.moved(name, mirror.location), insecure=mirror.insecure)
        schemes = mirror.schemes or found.schemes
        return found._replace(mirror=True, schemes=schemes)

    def _endpoint(self, name: str, *, insecure: bool) -> Endpoint:
        registry, _, repository = name.partition("/")
        host = HUB_HOST if registry in (DOCKER_HUB, "index.docker.io", HUB_HOST) else registry
        login = DOCKER_HUB if host == HUB_HOST else registry
        # A registry on this machine has no certificate that anyone could check, and none is needed.
        if insecure or is_loopback(registry) or self._is_insecure(registry):
            return Endpoint(host, repository, login, _EITHER, verify=False)
        return Endpoint(host, repository, login)

    def _is_insecure(self, registry: str) -> bool:
        host = split_port(registry)[0]
        return any(
            entry in (registry, host) or ("/" in entry and in_network(host, entry)) for entry in self.insecure
        )


def split_port(host: str) -> tuple[str, int | None]:
    """`host[:port]` in two; an IPv6 address comes without its brackets."""
    name, _, port = host.rpartition(":")
    bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    if bare_ipv6 or not name or not port.isdecimal():
        name, port = host, ""
    return name.removeprefix("[").removesuffix("]"), int(port) if port else None


def is_loopback(registry: str) -> bool:
    """The registry is on this machine, by its name alone."""
    host = split_port(registry)[0].lower()
    return host in _LOCAL_NAMES or host == "::1" or in_network(host, "127.0.0.0/8")


def in_network(host: str, network: str) -> bool:
    """The address `host` lies in `network`; a name lies in none."""
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
