"""What a step is told of the relay: variables, and settings that count less than any of its own. Pure.

pip and uv read `XDG_CONFIG_DIRS` before all else that they read, so that whatever the image, the Dockerfile
or a command says wins; so it is with APT_CONFIG, and with npm's global settings. uv is told in its section
`pip` alone: an index of ours in a uv.lock would be wrong, and one that is another than that in the lock
makes `uv sync --locked` fail.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from tiffin.build.relay.sources import NPM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.build.relay.sources import Source, Sources
    from tiffin.build.relay.target import Addresses

PLACE: Final = "/dev/.tiffin"
_XDG: Final = f"{PLACE}/xdg"
APT: Final = f"{PLACE}/apt.conf"
_NPMRC: Final = f"{PLACE}/npmrc"
_NPM_SETTINGS: Final = ("/usr/local/etc/npmrc", "/usr/etc/npmrc", "/etc/npmrc")
_UV_SETTINGS: Final = ("/etc/uv/uv.toml", "/etc/xdg/uv/uv.toml")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
_OURS: Final = "127.0.0.1,localhost,::1"
# What pip and npm are told by files; what is told to uv's projects stays a variable.
_REPLACED: Final = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
    "HF_ENDPOINT",
)
_UV_DEFAULT: Final = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
# In any address of a list, of which tools take some without `https://`: spaces part them, and for Go , and |.
_LOGIN: Final = re.compile(r"(?:^|[\s,|]|//)[^/\s]*@")


class Lent(NamedTuple):
    """Variables, and the texts of files by their path in the container."""

    variables: dict[str, str]
    files: dict[str, str]


class Step(NamedTuple):
    """What of a step decides: its own variables, and whether its image has a file."""

    own: Mapping[str, str]
    has: Callable[[str], bool]


def wants_relay(own: Mapping[str, str]) -> bool:
    """Whether a step can be given the relay: one that has a proxy of its own would ask that for it."""
    return not any(own.get(spelling) for name in _PROXIES for spelling in (name, name.upper()))


def lend_relay(
    lent: Mapping[str, str], sources: Sources, addresses: Addresses, proxy: str, step: Step
) -> Lent:
    """Return what a step gets, where `lent` is what it would get without a relay.

    `proxy` is the address of the relay as a proxy.
    """
    variables = {name: value for name, value in lent.items() if name not in _REPLACED}
    files: dict[str, str] = {f"{_XDG}/pip/pip.conf": _pip_conf(sources.pip, addresses)}
    if not any(map(step.has, _UV_SETTINGS)):
        files[f"{_XDG}/uv/uv.toml"] = _uv_toml(sources.uv, addresses)
    variables["XDG_CONFIG_DIRS"] = f"{_XDG}:/etc/xdg"
    for name in [name for name in variables if _has_login(variables[name])]:
        value = variables.pop(name)
        if name in _UV_DEFAULT:
            variables[name] = addresses.index_of(sources.uv[0].url)
        elif name.lower() in _PROXIES and not value.startswith("socks"):
            variables[name] = proxy
    if not any(map(step.has, _NPM_SETTINGS)):
        files[_NPMRC] = _npmrc(sources.npm, addresses)
        variables["NPM_CONFIG_GLOBALCONFIG"] = _NPMRC
    variables["HF_ENDPOINT"] = addresses.hub()
    variables |= _proxies(variables, proxy)
    files[APT] = f'Acquire::http::Proxy "{proxy}";\nAcquire::http::Proxy::localhost "DIRECT";\n'
    variables["APT_CONFIG"] = APT
    return Lent(variables, files)


def withheld(lent: Mapping[str, str]) -> list[str]:
    """Return which variables a step does not get, and would without a relay: for the login in them."""
    replaced = (*_REPLACED, *_UV_DEFAULT)
    return [
        name
        for name, value in lent.items()
        if _has_login(value) and name not in replaced and name.lower() not in _PROXIES
    ]


def _proxies(variables: Mapping[str, str], proxy: str) -> dict[str, str]:
    """The host's proxies, each of them here; what the host reaches without one, the step does too."""
    named = [name for name in variables if name.lower() in _PROXIES and "socks" not in variables[name]]
    if not named:
        return {}
    exempt = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    listed = f"{exempt},{_OURS}" if exempt else _OURS
    return dict.fromkeys(named, proxy) | {"no_proxy": listed, "NO_PROXY": listed}


def _pip_conf(indexes: Iterable[Source], addresses: Addresses) -> str:
    first, *more = [addresses.index_of(source.url) for source in indexes]
    lines = ["[global]", f"index-url = {first}"]
    if more:
        lines.append("extra-index-url = " + " ".join(more))
    return "\n".join([*lines, ""])


def _uv_toml(indexes: Iterable[Source], addresses: Addresses) -> str:
    first, *more = [f'"{addresses.index_of(source.url)}"' for source in indexes]
    return f"[pip]\nindex-url = {first}\n" + (f"extra-index-url = [{', '.join(more)}]\n" if more else "")


def _npmrc(source: Source, addresses: Addresses) -> str:
    """Npm's lock has the addresses of the registry itself, and npm asks ours in their place.

    It puts our host there, and not the path that names the build on the host's own network: there it asks
    the registry itself.
    """
    host = "npmjs" if source.url == NPM else urlsplit(source.url).hostname
    if urlsplit(addresses.base).path:
        host = "never"
    return f"registry={addresses.base}/\nreplace-registry-host={host}\n"


def _has_login(value: str) -> bool:
    """Whether one of the addresses in the value carries a login."""
    return _LOGIN.search(value) is not None
