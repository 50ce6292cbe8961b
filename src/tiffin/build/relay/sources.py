"""Where this machine gets packages from: indexes, registries and logins, as the tools' own settings say.

Read are the variables and files of pip, uv, npm, the Hugging Face hub, and netrc. What cannot be read counts
as not there: the tools themselves would say so on this machine, and a build does without. Local folders
(`find-links`, `file:`) are no sources: what is in an image must not hang on what lies about here.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.build.relay.target import addresses_in, login_of, origin, without_login
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PYPI: Final = "https://pypi.org/simple"
NPM: Final = "https://registry.npmjs.org"
HUB: Final = "https://huggingface.co"


class Source(NamedTuple):
    """An address that the user has configured, and how to log in there: the value of Authorization."""

    url: str
    authorization: str = ""

    def __repr__(self) -> str:
        """The address without the login."""
        return f"Source({self.url!r})"


class Sources(NamedTuple):
    """All sources; of indexes the first is the default one. `named` says that the user has chosen it.

    `insecure` are hosts whose certificates are not checked, `bundles` files with CAs to trust besides.
    """

    pip: tuple[Source, ...]
    uv: tuple[Source, ...]
    npm: Source
    hub: Source
    insecure: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    keyring: bool = False

    @property
    def all(self) -> tuple[Source, ...]:
        """Every address that may be anywhere, also on this machine."""
        return (*self.pip, *self.uv, self.npm, self.hub)

    @property
    def indexes(self) -> tuple[Source, ...]:
        """Those of Python packages."""
        return (*self.pip, *self.uv)


def read_sources(environ: Mapping[str, str], root: Path = Path("/")) -> Sources:
    """Return what the settings of this machine say; those of the whole machine lie below `root`."""
    home = _Home(environ, root)
    pip, uv = _pip_settings(home), _uv_settings(home)
    pip_indexes = _sources([pip.get("index-url", PYPI), *pip.get("extra-index-url", "").split()])
    uv_indexes = _uv_indexes(uv, environ)
    providers = (
        pip.get("keyring-provider", ""),
        environ.get("UV_KEYRING_PROVIDER", ""),
        uv.get("keyring-provider"),
    )
    trusted = [*pip.get("trusted-host", "").split(), *_texts(uv.get("allow-insecure-host"))]
    return Sources(
        pip=pip_indexes,
        uv=uv_indexes,
        npm=_npm(home),
        hub=_hub(home),
        insecure=(*trusted, *environ.get("UV_INSECURE_HOST", "").split()),
        bundles=tuple(filter(None, [pip.get("cert", "")])),
        keyring=any(provider in ("subprocess", "import") for provider in providers),
    )


class _Home(NamedTuple):
    environ: Mapping[str, str]
    root: Path

    @property
    def user(self) -> Path | None:
        """The user's own folder."""
        return Path(self.environ["HOME"]) if self.environ.get("HOME") else None

    def config(self, name: str) -> list[Path]:
        """Where a file of settings may be for the user."""
        if self.environ.get("XDG_CONFIG_HOME"):
            return [Path(self.environ["XDG_CONFIG_HOME"]) / name]
        return [self.user / ".config" / name] if self.user else []


def _pip_settings(home: _Home) -> dict[str, str]:
    """What pip's files and variables say, those that count more later."""
    environ = home.environ
    xdg = [folder for folder in environ.get("XDG_CONFIG_DIRS", "").split(":") if folder]
    paths = [Path(folder) / "pip/pip.conf" for folder in xdg] or [home.root / "etc/xdg/pip/pip.conf"]
    paths.append(home.root / "etc/pip.conf")
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        paths = []
    elif not (named and Path(named).exists()):
        paths += [home.user / ".pip/pip.conf"] if home.user else []
        paths += home.config("pip/pip.conf")
    paths += [Path(folder) / "pip.conf" for folder in [environ.get("VIRTUAL_ENV", "")] if folder]
    paths += [Path(named)] if named and named != os.devnull else []
    found: dict[str, str] = {}
    for path in paths:
        found |= _ini(path)
    known = ("index-url", "extra-index-url", "trusted-host", "cert", "keyring-provider")
    found |= {
        name: environ[key] for name in known if environ.get(key := f"PIP_{name.replace('-', '_').upper()}")
    }
    return found


def _ini(path: Path) -> dict[str, str]:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}
    sections = [name for name in ("global", "install") if parser.has_section(name)]
    return {key.replace("_", "-"): value for name in sections for key, value in parser.items(name)}


def _uv_settings(home: _Home) -> dict[str, Any]:
    """What uv's files say: the machine's below the user's, or the one that a variable names alone."""
    environ = home.environ
    if environ.get("UV_NO_CONFIG", "").lower() in ("1", "true"):
        return {}
    if named := environ.get("UV_CONFIG_FILE"):
        return _toml(Path(named))
    xdg = [
        Path(folder) / "uv/uv.toml"
        for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
        if folder
    ]
    system = next((path for path in [*xdg, home.root / "etc/uv/uv.toml"] if path.is_file()), None)
    found = _toml(system) if system else {}
    for path in home.config("uv/uv.toml"):
        own = _toml(path)
        lists = {
            name: [*own[name], *found[name]]
            for name in ("index", "extra-index-url")
            if name in own and name in found
        }
        found |= own | lists
    return found


def _uv_indexes(uv: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[Source, ...]:
    entries = [
        entry for entry in uv.get("index", ()) if isinstance(entry, dict) and not entry.get("explicit")
    ]
    default = [_uv_login(entry, environ) for entry in entries if entry.get("default") and entry.get("url")]
    others = [_uv_login(entry, environ) for entry in entries if not entry.get("default") and entry.get("url")]
    own = uv.get("pip") if isinstance(uv.get("pip"), dict) else {}
    assert isinstance(own, dict)
    named = [
        environ.get("UV_DEFAULT_INDEX"),
        environ.get("UV_INDEX_URL"),
        own.get("index-url"),
        uv.get("index-url"),
    ]
    first = next((str(url) for url in named if url), None)
    more = [url for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL") for url in addresses_in(environ.get(name, ""))]
    more += [*_texts(own.get("extra-index-url")), *_texts(uv.get("extra-index-url"))]
    return _sources([first or next(iter(default), PYPI), *more, *others])


def _uv_login(entry: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The index's address, with the login that variables named after it give."""
    url, name = str(entry["url"]), str(entry.get("name", "")).upper().replace("-", "_").replace(".", "_")
    user, password = (environ.get(f"UV_INDEX_{name}_{part}", "") for part in ("USERNAME", "PASSWORD"))
    if not name or not (user or password) or login_of(url):
        return url
    from urllib.parse import quote

    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _npm(home: _Home) -> Source:
    settings: dict[str, str] = {}
    paths = [home.root / "etc/npmrc", home.root / "usr/local/etc/npmrc", home.root / "usr/etc/npmrc"]
    named = home.environ.get("NPM_CONFIG_USERCONFIG") or home.environ.get("npm_config_userconfig")
    for path in [*paths, *([Path(named)] if named else [home.user / ".npmrc"] if home.user else [])]:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        pairs = (line.partition("=") for line in lines if line.strip() and line.strip()[0] not in "#;")
        settings |= {
            name.strip(): _expanded(value.strip().strip("\"'"), home.environ) for name, _, value in pairs
        }
    names = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
    url = next(
        (home.environ[name] for name in names if home.environ.get(name)), settings.get("registry", NPM)
    )
    [source] = _sources([url]) or (Source(NPM),)
    nerf = source.url.partition(":")[2].rstrip("/")
    if token := settings.get(f"{nerf}/:_authToken"):
        return Source(source.url, f"Bearer {token}")
    if login := settings.get(f"{nerf}/:_auth"):
        return Source(source.url, f"Basic {login}")
    return source


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    import re

    return re.sub(r"\$\{([^}]+)\}", lambda found: environ.get(found[1], found[0]), text)


def _hub(home: _Home) -> Source:
    environ = home.environ
    [source] = _sources([environ.get("HF_ENDPOINT") or HUB]) or (Source(HUB),)
    token = environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    if not token:
        cache = environ.get("XDG_CACHE_HOME") or (str(home.user / ".cache") if home.user else "")
        folder = environ.get("HF_HOME") or (f"{cache}/huggingface" if cache else "")
        place = environ.get("HF_TOKEN_PATH") or (f"{folder}/token" if folder else "")
        token = _text(Path(place)) if place else ""
    return Source(source.url, f"Bearer {token.strip()}" if token.strip() else "")


def _sources(urls: Iterable[str]) -> tuple[Source, ...]:
    """Sources of the addresses, with their logins; what is none of the web is left out."""
    return tuple({source.url: source for source in _each(urls)}.values())


def _each(urls: Iterable[str]) -> Iterator[Source]:
    from base64 import b64encode

    for url in urls:
        try:
            scheme, host, _ = origin(url)
        except InvalidError:
            continue
        if scheme in ("http", "https") and host:
            login = login_of(url)
            basic = f"Basic {b64encode(login.encode()).decode()}" if login else ""
            yield Source(without_login(url).rstrip("/"), basic)


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
