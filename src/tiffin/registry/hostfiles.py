"""The settings of this machine that concern registries: variables, registries.conf, daemon.json, certs.d.

Read only. Mirrors in our own `tiffin.toml` stand for those of all other files, and `TIFFIN_MIRRORS`, once
it is set, for all of them: entries `[REGISTRY=]LOCATION`, separated by commas or blanks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError
from tiffin.oci.reference import DOCKER_HUB
from tiffin.registry.hosts import HUB_HOST, Hosts, Mirror, Rule
from tiffin.settingsfile import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.registry.hosts import Use
    from tiffin.settingsfile import SettingsFile

MIRRORS: Final = "TIFFIN_MIRRORS"
INSECURE: Final = "TIFFIN_INSECURE_REGISTRIES"
_USES: Final[dict[str, Use]] = {"all": "all", "digest-only": "digest", "tag-only": "tag"}
_BUNDLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SYSTEM_BUNDLES: Final = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
)


class Certificates(NamedTuple):
    """For one host: CA files to trust besides the bundle, and a certificate to show with its key."""

    authorities: tuple[Path, ...] = ()
    client: tuple[Path, Path] | None = None


class HostFiles:
    """The files below `root`, and those of the user; `environ` says where the latter are."""

    def __init__(self, environ: Mapping[str, str], root: Path = Path("/")) -> None:
        self._environ = environ
        self._root = root
        home = Path(environ["HOME"]) if environ.get("HOME") else None
        config = environ.get("XDG_CONFIG_HOME")
        self._user = Path(config) if config else (home / ".config" if home else None)

    def hosts(self) -> Hosts:
        """Everything as one value; `InvalidError` names the file or variable that is wrong."""
        daemon = self._daemon()
        mirrors = self._environ.get(MIRRORS)
        files = read_settings(self._environ, self._root)
        if mirrors is None and any(file.mirrors for file in files):
            rules = [*_file_mirrors(files), *(rule._replace(mirrors=()) for rule in self._registries())]
        elif mirrors is None:
            rules = [*self._registries(), *_daemon_mirrors(daemon)]
        else:
            rules = [*_named_mirrors(mirrors), *(rule._replace(mirrors=()) for rule in self._registries())]
        insecure = _words(self._environ.get(INSECURE, ""))
        insecure += [name for file in files for name in file.insecure]
        for path, document in daemon:
            insecure += _texts(document, "insecure-registries", path)
        return Hosts(tuple(rules), tuple(insecure))

    def certificates(self, host: str) -> Certificates:
        """What certs.d has for `host[:port]`; the user's folders win over the machine's."""
        names = (host, DOCKER_HUB) if host == HUB_HOST else (host,)
        for folder in (place / "certs.d" / name for place in self._places() for name in names):
            try:
                files = sorted(folder.iterdir())
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            authorities = tuple(path for path in files if path.suffix == ".crt")
            client = next((path for path in files if path.suffix == ".cert"), None)
            key = None if client is None else client.with_suffix(".key")
            if client is not None and key not in files:
                raise InvalidError(f"{client} has no key beside it", hint=f"it belongs into {key}")
            return Certificates(authorities, (client, key) if client and key else None)
        return Certificates()

    def bundle(self) -> Path | None:
        """The CA bundle (a file, or a folder of hashed ones) that a variable names, else the system's."""
        named = [Path(self._environ[name]) for name in _BUNDLES if self._environ.get(name)]
        folders = self._environ.get("SSL_CERT_DIR", "").split(":")
        system = [self._root / name for name in _SYSTEM_BUNDLES]
        candidates = [*named, *system, *(Path(folder) for folder in folders if folder)]
        return next((path for path in candidates if path.exists()), None)

    def bundle_origin(self) -> str:
        """In words which bundle is in use, and which variable names one that is not there."""
        found = self.bundle()
        missing = [
            f"{name} names {self._environ[name]}, which does not exist"
            for name in _BUNDLES
            if self._environ.get(name) and not Path(self._environ[name]).exists()
        ]
        return "; ".join([*missing, f"in use is {found}" if found else "no CA bundle was found"])

    def _places(self) -> list[Path]:
        own = [self._user / "containers", self._user / "docker"] if self._user else []
        return [*own, self._root / "etc/containers", self._root / "etc/docker"]

    def _registries(self) -> list[Rule]:
        """The rules of registries.conf and its drop-ins; later files replace rules for the same prefix."""
        named = self._environ.get("CONTAINERS_REGISTRIES_CONF")
        own = self._user / "containers/registries.conf" if self._user else None
        system = self._root / "etc/containers/registries.conf"
        main = Path(named) if named else own if own and own.is_file() else system
        paths = [main]
        if not named:
            for folder in (system.parent, own.parent if own else None):
                if folder is not None and (folder / "registries.conf.d").is_dir():
                    paths += sorted((folder / "registries.conf.d").glob("*.conf"))
        rules: dict[str, Rule] = {}
        for path in paths:
            # One origin for all: among the rules of these files together only the most exact one counts.
            rules |= {rule.prefix: rule._replace(origin=str(main)) for rule in _read_registries(path)}
        return list(rules.values())

    def _daemon(self) -> list[tuple[Path, dict[str, Any]]]:
        paths = [self._root / "etc/docker/daemon.json"]
        if self._user:
            paths.insert(0, self._user / "docker/daemon.json")
        found = []
        for path in paths:
            data = _read(path)
            if data is None or not data.strip():
                continue
            try:
                found.append((path, msgspec.json.decode(data, type=dict[str, Any])))
            except msgspec.DecodeError as error:
                raise InvalidError(f"{path} is not the JSON object that it should be: {error}") from None
        return found


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _read_registries(path: Path) -> list[Rule]:
    data = _read(path)
    if data is None:
        return []
    import tomllib

    try:
        document = tomllib.loads(data.decode())
        return list(_registries_rules(document, path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} is not valid TOML: {error}") from None


def _registries_rules(document: dict[str, Any], path: Path) -> Iterator[Rule]:
    """The rules of version 2 of the format, and the insecure and blocked hosts of version 1."""
    tables = document.get("registry", [])
    for table in tables if isinstance(tables, list) else []:
        prefix = _text(table, "prefix") or _text(table, "location")
        if not prefix:
            raise InvalidError(f"{path}: a [[registry]] has neither prefix nor location")
        by_digest = table.get("mirror-by-digest-only") is True
        mirrors = tuple(_registries_mirror(entry, path, by_digest) for entry in table.get("mirror", []))
        location = _text(table, "location")
        yield Rule(
            prefix,
            "" if location == prefix else location,
            table.get("insecure") is True,
            table.get("blocked") is True,
            mirrors,
            str(path),
        )
    old = document.get("registries", {})
    for kind in ("insecure", "block") if isinstance(old, dict) else ():
        for host in _texts(old.get(kind, {}), "registries", path):
            yield Rule(host, insecure=kind == "insecure", blocked=kind == "block", origin=str(path))


def _registries_mirror(table: dict[str, Any], path: Path, by_digest: bool) -> Mirror:
    location = _text(table, "location")
    if not location:
        raise InvalidError(f"{path}: a [[registry.mirror]] has no location")
    use = _USES.get(_text(table, "pull-from-mirror") or "all")
    if use is None:
        raise InvalidError(
            f"{path}: pull-from-mirror is {table['pull-from-mirror']!r}", hint=" | ".join(_USES)
        )
    insecure = table.get("insecure") is True
    return Mirror(location.rstrip("/"), (), insecure, "digest" if by_digest else use)


def _named_mirrors(text: str) -> Iterator[Rule]:
    grouped: dict[str, list[Mirror]] = {}
    for word in _words(text):
        registry, equals, location = word.rpartition("=")
        if equals and not registry:
            raise InvalidError(f"{MIRRORS}: {word!r} names no registry", hint="write REGISTRY=LOCATION")
        grouped.setdefault(registry or DOCKER_HUB, []).append(_mirror(location, MIRRORS))
    for registry, mirrors in grouped.items():
        # Each entry counts, however exact another is: so each is an origin of its own.
        yield Rule(registry, mirrors=tuple(mirrors), origin=f"{MIRRORS}:{registry}")


def _file_mirrors(files: Sequence[SettingsFile]) -> Iterator[Rule]:
    """The mirrors of the settings files; the user's of a registry stand for the machine's."""
    merged = {key: (file.path, places) for file in reversed(files) for key, places in file.mirrors.items()}
    for registry, (path, places) in merged.items():
        mirrors = tuple(_mirror(place, str(path)) for place in places)
        yield Rule(registry, mirrors=mirrors, origin=f"{path}:{registry}")


def _daemon_mirrors(documents: list[tuple[Path, dict[str, Any]]]) -> Iterator[Rule]:
    for path, document in documents:
        found = tuple(_mirror(text, str(path)) for text in _texts(document, "registry-mirrors", path))
        if found:
            yield Rule(DOCKER_HUB, mirrors=found, origin=str(path))


def _mirror(text: str, origin: str) -> Mirror:
    """A mirror as a URL or a bare location; a URL means its scheme, and only that."""
    scheme, separator, location = text.rpartition("://")
    location = location.rstrip("/")
    if not location or "@" in location or scheme not in ("", "http", "https"):
        shown = f"{scheme}{separator}{location.rpartition('@')[2]}"
        raise InvalidError(
            f"{origin}: {shown!r} is no address of a mirror",
            hint="write host[:port][/path], or a URL with http:// or https:// and without a password",
        )
    return Mirror(location, (scheme,) if scheme else ())


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _text(table: Any, key: str) -> str:
    found = table.get(key, "") if isinstance(table, dict) else ""
    return found if isinstance(found, str) else ""


def _texts(table: Any, key: str, path: Path) -> list[str]:
    found = table.get(key) if isinstance(table, dict) else None
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise InvalidError(f"{path}: {key} is not a list of texts")
    return [str(entry) for entry in found]
