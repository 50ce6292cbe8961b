"""What a RUN step borrows from the host to reach package indexes: proxies, index URLs, and the CA bundle.

Pure but for `find_bundle`, which looks where a bundle lies. What is lent is present while the step runs and
nowhere else: not in the image, its history or any cache key. The bundle is
mounted below /dev, which is a file system of the container's own, so not even
a mount point is left behind. What the image or the Dockerfile sets wins. With a relay (`build/relay`) package
managers get other addresses, and nothing that carries a login is lent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

BUNDLE = "/dev/.tiffin/ca-certificates.crt"

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
_INDEXES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST",
    "NPM_CONFIG_REGISTRY",
    "npm_config_registry",
    "HF_ENDPOINT",
    "GOPROXY",
    "CONDA_CHANNEL_ALIAS",
)
# Where programs look for the bundle, as their documentation names it.
_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "UV_SYSTEM_CERTS_FILE",
)
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Loan(NamedTuple):
    """Variables for a step (names that it does not set itself), and the host file to mount at BUNDLE."""

    variables: dict[str, str]
    bundle: Path | None


def find_bundle(environ: Mapping[str, str]) -> Path | None:
    """Return the CA bundle that this host trusts: the one its variables name, else the system's."""
    named = [environ[name] for name in _CA_VARIABLES if environ.get(name)]
    for candidate in (*named, *_SYSTEM_BUNDLES):
        path = Path(candidate)
        if path.is_file():
            return path.resolve()
    return None


def only_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return of the host's variables those that name proxies."""
    names = [spelling for name in _PROXIES for spelling in (name, name.upper())]
    return {name: environ[name] for name in names if environ.get(name)}


def socks_proxy(environ: Mapping[str, str]) -> str:
    """Return which variable names a proxy that does not speak HTTP, or nothing."""
    found = only_proxies(environ).items()
    return next((name for name, value in found if value.lower().startswith("socks")), "")


def lend(environ: Mapping[str, str], bundle: Path | None, own: Mapping[str, str]) -> Loan:
    """Return what a step with the variables `own` borrows from the host's `environ` and `bundle`."""
    found = only_proxies(environ) | {name: environ[name] for name in _INDEXES if environ.get(name)}
    if bundle is not None:
        found |= dict.fromkeys(_CA_VARIABLES, BUNDLE)
    return Loan({name: value for name, value in found.items() if name not in own}, bundle)
