"""What the machine knows about its distribution: release, architecture, sources, the way to a mirror.

Read once, at the edge; everything else in this room gets it as a value.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from tiffin.base.aptconf import AptConfig
from tiffin.base.sources import Source, read_sources
from tiffin.registry.proxies import exempt

if TYPE_CHECKING:
    from collections.abc import Mapping

# Debian's names for what `uname -m` says.
_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "i686": "i386",
    "ppc64le": "ppc64el",
    "s390x": "s390x",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}
_PORTS: Final = {"http": 80, "https": 443}
_BUNDLES: Final = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLES: Final = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/cert.pem",
)


class Login(NamedTuple):
    """Name and password for the URIs that begin with `machine` ([scheme://]host[:port][/path])."""

    machine: str
    name: str
    password: str


class Network(NamedTuple):
    """How the machine reaches its mirrors."""

    apt: AptConfig
    environ: Mapping[str, str]
    logins: tuple[Login, ...] = ()
    ca_bundle: str = ""

    def proxy(self, uri: str) -> str:
        """The proxy for `uri`, empty for none: by apt's settings, else by the environment."""
        parts = urlsplit(uri)
        for option in (
            f"Acquire::{parts.scheme}::Proxy::{parts.hostname}",
            f"Acquire::{parts.scheme}::Proxy",
        ):
            if value := self.apt.get(option):
                return "" if value.upper() == "DIRECT" else value
        if exempt(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0), self.environ):
            return ""
        names = [f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
        if "REQUEST_METHOD" in self.environ:  # a CGI server puts a request's Proxy header into HTTP_PROXY
            names = [f"{parts.scheme}_proxy", "all_proxy"]
        return next((self.environ[name] for name in names if self.environ.get(name)), "")

    def login(self, uri: str) -> Login | None:
        """The login for `uri`; without a scheme in its entry only for https, as apt does."""
        parts = urlsplit(uri)
        for login in self.logins:
            scheme, _, place = login.machine.rpartition("://")
            if parts.scheme != (scheme or "https"):
                continue
            host, slash, path = place.partition("/")
            same_host = host in (parts.netloc.rpartition("@")[2], parts.hostname)
            if same_host and (not slash or parts.path.startswith("/" + path)):
                return login
        return None


class Machine(NamedTuple):
    """The machine's distribution and its package sources; `root` is where its files lie."""

    distribution: str
    codename: str
    architecture: str
    sources: tuple[Source, ...]
    network: Network
    root: Path = Path("/")

    @classmethod
    def load(cls, environ: Mapping[str, str], root: Path = Path("/")) -> Machine:
        """Read the settings below `root`; what is not there is empty."""
        release = _os_release(root)
        apt = AptConfig.read(root, environ)
        bundles = [apt.get("Acquire::https::CaInfo"), *(environ.get(name, "") for name in _BUNDLES)]
        bundles += [str(root / path) for path in _SYSTEM_BUNDLES]
        bundle = next((path for path in bundles if path and Path(path).is_file()), "")
        machine = os.uname().machine
        return cls(
            release.get("ID", "linux"),
            release.get("VERSION_CODENAME", ""),
            _ARCHITECTURES.get(machine, machine),
            read_sources(root),
            Network(apt, environ, _logins(root), bundle),
            root,
        )


def _os_release(root: Path) -> dict[str, str]:
    for name in ("etc/os-release", "usr/lib/os-release"):
        if (root / name).is_file():
            words = shlex.split((root / name).read_text(errors="replace"), comments=True)
            return dict(word.split("=", 1) for word in words if "=" in word)
    return {}


def _logins(root: Path) -> tuple[Login, ...]:
    etc = root / "etc/apt"
    parts = sorted((etc / "auth.conf.d").glob("*.conf")) if (etc / "auth.conf.d").is_dir() else []
    found: list[Login] = []
    for path in [etc / "auth.conf", *parts]:
        if path.is_file() and os.access(path, os.R_OK):
            found += _parse_netrc(path.read_text(errors="replace"))
    return tuple(found)


def _parse_netrc(text: str) -> list[Login]:
    found: list[Login] = []
    words = iter(text.split())
    for word in words:
        value = next(words, "")
        if word == "machine":
            found.append(Login(value, "", ""))
        elif word == "login" and found:
            found[-1] = found[-1]._replace(name=value)
        elif word == "password" and found:
            found[-1] = found[-1]._replace(password=value)
    return found
