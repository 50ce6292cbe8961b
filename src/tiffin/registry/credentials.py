"""Who we are to a registry: Docker's config file and its helpers, podman's file after it.

`docker login` and `podman login` count here, and `tiffin login` counts for them. No secret is
ever part of a text that could be shown.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError, UnavailableError
from tiffin.linux.files import atomic_write
from tiffin.oci.reference import DOCKER_HUB
from tiffin.registry.hosts import HUB_HOST
from tiffin.registry.loginhelper import LoginHelper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_NAMES: Final = frozenset({DOCKER_HUB, "index.docker.io", HUB_HOST})
_TOKEN_USER: Final = "<token>"  # noqa: S105 - the name that helpers give to the owner of a refresh token


class Credentials(NamedTuple):
    """A login: name and password, or a token that stands for both; `source` says where it was found."""

    username: str
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""
    source: str = ""

    def __repr__(self) -> str:
        """The name and the source, and nothing secret."""
        return f"Credentials({self.username!r}, from {self.source})"

    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        both = f"{self.username}:{self.password}".encode()
        packed = base64.b64encode(both).decode() if self.password else ""
        found = (self.password, self.identity_token, self.registry_token, packed)
        return tuple(text for text in found if text)


class CredentialStore:
    """The logins of one user, in the places that `environ` and Docker's habits name."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        home = environ.get("HOME", "")
        folder = environ.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "")
        self._docker = Path(folder) / "config.json" if folder else None
        self.notes: list[str] = []  # what went wrong on the way, for an error that may follow

    def find(self, registry: str, repository: str = "") -> Credentials | None:
        """The login for a registry; one that is kept for a part of its repositories wins there."""
        if self._docker is not None:
            found = self._in_docker_file(self._docker, registry, repository)
            if found is not None:
                return found
        for path in self._podman_files():
            found = self._in_file(path, _read(path), registry, repository)
            if found is not None:
                return found
        return None

    def save(self, registry: str, credentials: Credentials) -> str:
        """Keep the login where Docker would; the answer is that place, in words."""
        path = self._need_file()
        with _locked(path.parent):
            document = _read(path)
            helper = self._helper(document, registry)
            auths = _table(document, "auths", path)
            if helper is not None:
                user = _TOKEN_USER if credentials.identity_token else credentials.username
                helper.store(_key(registry), user, credentials.identity_token or credentials.password)
                auths[_key(registry)] = {}
            else:
                auths[_key(registry)] = _entry(credentials)
            _write(path, {**document, "auths": auths})
        return f"the helper {helper.program}" if helper else str(path)

    def erase(self, registry: str) -> bool:
        """Forget the login, in Docker's file and its helper; whether there was one."""
        path = self._need_file()
        with _locked(path.parent):
            document = _read(path)
            helper = self._helper(document, registry)
            known = False
            if helper is not None and helper.get(_key(registry)) is not None:
                helper.erase(_key(registry))
                known = True
            auths = _table(document, "auths", path)
            for key in [key for key in auths if _host_of(key) == _canonical(registry)]:
                known = bool(auths.pop(key)) or known
                _write(path, {**document, "auths": auths})
        return known

    def _in_docker_file(self, path: Path, registry: str, repository: str) -> Credentials | None:
        document = _read(path)
        helper = self._helper(document, registry)
        if helper is not None:
            found = self._ask(helper, path, registry)
            if found is not None:
                return found
        return self._in_file(path, document, registry, repository)

    def _in_file(
        self, path: Path, document: dict[str, Any], registry: str, repository: str
    ) -> Credentials | None:
        named = _table(document, "credHelpers", path).get(_canonical(registry))
        if isinstance(named, str) and path != self._docker:
            return self._ask(LoginHelper(named, self._environ), path, registry)
        auths = _table(document, "auths", path)
        for key in _keys(auths, registry, repository):
            found = _credentials(auths[key], key, path)
            if found is not None:
                return found
        return None

    def _ask(self, helper: LoginHelper, path: Path, registry: str) -> Credentials | None:
        try:
            found = helper.get(_key(registry))
        except UnavailableError as error:
            # Most images need no login, so a helper that does not work must not stand in their way.
            self.notes.append(f"{error.message} ({path} names it)")
            return None
        if found is None:
            return None
        user, secret = found
        source = f"the helper {helper.program}"
        if user == _TOKEN_USER:
            return Credentials("", identity_token=secret, source=source)
        return Credentials(user, secret, source=source)

    def _helper(self, document: dict[str, Any], registry: str) -> LoginHelper | None:
        own = document.get("credHelpers")
        name = own.get(_canonical(registry)) or own.get(_key(registry)) if isinstance(own, dict) else None
        name = name or document.get("credsStore")
        return LoginHelper(name, self._environ) if isinstance(name, str) and name else None

    def _podman_files(self) -> Iterator[Path]:
        environ = self._environ
        if environ.get("REGISTRY_AUTH_FILE"):
            yield Path(environ["REGISTRY_AUTH_FILE"])
        if environ.get("XDG_RUNTIME_DIR"):
            yield Path(environ["XDG_RUNTIME_DIR"]) / "containers/auth.json"
        if environ.get("XDG_CONFIG_HOME"):
            yield Path(environ["XDG_CONFIG_HOME"]) / "containers/auth.json"
        if environ.get("HOME"):
            yield Path(environ["HOME"]) / ".config/containers/auth.json"

    def _need_file(self) -> Path:
        if self._docker is None:
            raise InvalidError(
                "there is no place to keep a login: neither DOCKER_CONFIG nor HOME is set",
                hint="set DOCKER_CONFIG to a folder of yours",
            )
        # The file may be a link into a folder of dotfiles, which has to stay one.
        return self._docker.resolve() if self._docker.is_symlink() else self._docker


def canonical_registry(text: str) -> str:
    """The registry that a user means by `text`: a host, or a URL as Docker's file has them."""
    return _host_of(text)


def _canonical(registry: str) -> str:
    return DOCKER_HUB if registry in _HUB_NAMES else registry


def _host_of(key: str) -> str:
    rest = key.partition("://")[2] or key
    return _canonical(rest.partition("/")[0])


def _key(registry: str) -> str:
    """The name under which Docker keeps the login."""
    return HUB_KEY if _canonical(registry) == DOCKER_HUB else registry


def _keys(auths: dict[str, Any], registry: str, repository: str) -> list[str]:
    """The keys of entries that fit, the most exact first.

    A key is a host, a URL, or (podman's way) a host and the beginning of a repository.
    """
    wanted = _canonical(registry)
    ranked = []
    for key in auths:
        if _host_of(key) != wanted:
            continue
        path = "" if "://" in key else key.partition("/")[2].rstrip("/")
        if path in ("", "v1", "v2"):
            ranked.append((0, key != _key(registry), key))
        elif repository == path or repository.startswith(path + "/"):
            ranked.append((-len(path), False, key))
    return [key for _, _, key in sorted(ranked)]


def _credentials(entry: Any, key: str, path: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    user, password = _text(entry, "username"), _text(entry, "password")
    packed = _text(entry, "auth")
    if packed:
        try:
            user, _, password = base64.b64decode(packed, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidError(
                f"{path}: the login for {key} is damaged", hint=f"make it anew: tiffin login {_host_of(key)}"
            ) from None
        password = password.rstrip("\0")
    identity, bearer = _text(entry, "identitytoken"), _text(entry, "registrytoken")
    if not (password or identity or bearer):
        return None
    user = "" if user == _TOKEN_USER else user
    return Credentials(user, password, identity, bearer, str(path))


def _entry(credentials: Credentials) -> dict[str, str]:
    # With a token Docker keeps the name and no password.
    password = "" if credentials.identity_token else credentials.password
    packed = base64.b64encode(f"{credentials.username}:{password}".encode()).decode()
    if credentials.identity_token:
        return {"auth": packed, "identitytoken": credentials.identity_token}
    return {"auth": packed}


def _text(table: dict[str, Any], key: str) -> str:
    found = table.get(key, "")
    return found if isinstance(found, str) else ""


def _table(document: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = document.get(key) or {}
    if not isinstance(found, dict):
        raise InvalidError(f"{path}: {key} is not an object")
    return dict(found)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    if not data.strip():
        return {}
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidError(
            f"{path} is not the JSON object that it should be",
            hint="correct it, or remove it and log in again",
        ) from None


def _write(path: Path, document: dict[str, Any]) -> None:
    data = msgspec.json.format(msgspec.json.encode(document), indent=8)
    atomic_write(path, data + b"\n", 0o600)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder of a config file, for the time of one change; made if it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
