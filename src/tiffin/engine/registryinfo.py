"""Which mirrors, insecure registries and aliases are in force here: for `info` and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.offline import is_offline
from tiffin.registry.hostfiles import HostFiles
from tiffin.settingsfile import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


class RegistryFacts(NamedTuple):
    """Mirrors by what they are for, hosts that need not be secure, aliases, and the files that say so."""

    mirrors: Mapping[str, tuple[str, ...]]
    insecure: tuple[str, ...]
    aliases: Mapping[str, str]
    files: tuple[str, ...]
    offline: bool

    def summary(self) -> str:
        """All of it in a line."""
        parts = [f"{name} by {', '.join(places)}" for name, places in self.mirrors.items()]
        parts += [f"{pattern} is {target}" for pattern, target in self.aliases.items()]
        parts += [f"insecure: {', '.join(self.insecure)}"] if self.insecure else []
        parts += ["offline: no network is used"] if self.offline else []
        return "; ".join(parts) or "asked themselves: there are no mirrors and no aliases"


def registry_facts(environ: Mapping[str, str]) -> RegistryFacts:
    """Return what files and variables of this machine say. Raises InvalidError with the one that is wrong."""
    hosts = HostFiles(environ).hosts()
    mirrors: dict[str, tuple[str, ...]] = {}
    for rule in hosts.rules:
        if rule.mirrors:
            found = tuple(
                f"{mirror.schemes[0]}://{mirror.location}" if mirror.schemes else mirror.location
                for mirror in rule.mirrors
            )
            mirrors[rule.prefix] = (*mirrors.get(rule.prefix, ()), *found)
    files = read_settings(environ)
    aliases = {pattern: target for file in reversed(files) for pattern, target in file.aliases.items()}
    insecure = (*hosts.insecure, *(rule.prefix for rule in hosts.rules if rule.insecure))
    return RegistryFacts(
        mirrors, insecure, aliases, tuple(str(file.path) for file in files), is_offline(environ)
    )
