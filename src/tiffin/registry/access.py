"""Everything of this room put together: settings and environment → repositories, and checked logins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tiffin.events import Notice, ignore
from tiffin.registry.client import Access, Repository
from tiffin.registry.credentials import Credentials, CredentialStore
from tiffin.registry.hostfiles import HostFiles
from tiffin.registry.session import Session
from tiffin.registry.transport import READ_SECONDS, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tiffin.events import Emit
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference
    from tiffin.registry.hosts import Endpoint


class Registries:
    """All registries, as this user on this machine reaches them, for the time of one command.

    with Registries(os.environ) as registries:
        repository = registries.to_pull(reference)
        descriptor = repository.resolve(reference)
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        emit: Emit = ignore,
        root: Path = Path("/"),
        sleep: Callable[[float], None] = time.sleep,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        files = HostFiles(environ, root)
        self._hosts = files.hosts()
        self._logins = CredentialStore(environ)
        self._transport = Transport(files, environ, sleep=sleep, read_seconds=read_seconds)
        self._emit = emit
        self._warned: set[str] = set()
        self._sessions: dict[tuple[Endpoint, Credentials | None], Session] = {}

    def to_pull(self, reference: Reference) -> Repository:
        """The repository of the reference, by its mirrors and then by itself."""
        by_digest = reference.digest is not None
        endpoints = self._hosts.pull_endpoints(reference.registry, reference.repository, by_digest=by_digest)
        found = [self._access(endpoint, push=False) for endpoint in endpoints]
        return Repository(reference.name, found, emit=self._emit)

    def to_push(self, reference: Reference, mounts: Mapping[Digest, str] | None = None) -> Repository:
        """The repository of the reference, to be written; `mounts` as in `Repository`."""
        endpoint = self._hosts.endpoint(reference.registry, reference.repository)
        access = self._access(endpoint, push=True)
        return Repository(reference.name, [access], access, mounts=mounts, emit=self._emit)

    def address(self, reference: Reference) -> str:
        """The host that stands behind the registry of a reference."""
        return self._hosts.endpoint(reference.registry, reference.repository).host

    def check_login(self, registry: str, username: str, password: str) -> Credentials:
        """Log in, and return what to keep: the password, or a token if the registry gives one for it.

        `UnauthorizedError` when the registry refuses.
        """
        endpoint = self._hosts.endpoint(registry, "")
        credentials = Credentials(username, password)
        session = Session(endpoint, self._transport, credentials)
        session.authorizer.offline = True
        answer = session.request("GET", "/v2/")
        if answer.status != 200:
            raise session.failure(answer, "the registry")
        answer.close()
        token = session.authorizer.refresh_token
        return Credentials(username, "", token) if token else credentials

    def __enter__(self) -> Self:
        """Return itself; `with` closes the connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._transport.close()

    def _warn(self, text: str) -> None:
        """Tell what a registry has to say, once a command."""
        if text not in self._warned:
            self._warned.add(text)
            self._emit(Notice(text))

    def _access(self, endpoint: Endpoint, *, push: bool) -> Access:
        credentials = self._logins.find(endpoint.login, endpoint.repository)
        key = (endpoint._replace(repository=""), credentials)
        if key not in self._sessions:
            notes = tuple(self._logins.notes)
            self._sessions[key] = Session(
                endpoint, self._transport, credentials, notes=notes, tell=self._warn
            )
        return Access(self._sessions[key], endpoint.repository, push=push)
