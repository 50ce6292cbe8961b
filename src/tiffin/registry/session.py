"""One registry host, as long as a command lasts: its scheme, its login, and requests to it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from tiffin.errors import DeniedError, TiffinError, UnavailableError
from tiffin.registry.auth import Authorizer
from tiffin.registry.failure import Asked, failure_of, shown_url
from tiffin.registry.transport import Answer, Sending, Trust, joined, origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.registry.auth import Scopes
    from tiffin.registry.credentials import Credentials
    from tiffin.registry.hosts import Endpoint
    from tiffin.registry.transport import Body, Transport

_LOGINS: Final = 3
_NOBODY: Final[Scopes] = frozenset()


class Session:
    """The way to `endpoint.host`. Repositories of one host share it, and so its tokens; many threads may."""

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        credentials: Credentials | None,
        *,
        notes: Iterable[str] = (),
        tell: Callable[[str], None] = lambda _warning: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = endpoint.host
        self.login = endpoint.login
        self.transport = transport
        self.without_referrers: set[str] = set()
        """Repositories of which it has said that there is no API for what refers to something."""
        self.authorizer = Authorizer(endpoint.login, credentials, self._send_login, clock)
        self._schemes = endpoint.schemes
        self._trust = Trust(endpoint.host, endpoint.verify)
        self._notes = tuple(notes)
        self._tell = tell
        self._lock = threading.Lock()
        self._scheme = endpoint.schemes[0] if len(endpoint.schemes) == 1 else ""

    @property
    def scheme(self) -> str:
        """`https`, or `http` where that is allowed and the host speaks nothing else; found once."""
        with self._lock:
            if not self._scheme:
                self._scheme = self._probe()
            return self._scheme

    def url(self, path: str) -> str:
        """The URL of a path of the API."""
        return f"{self.scheme}://{self.host}{path}"

    def request(
        self,
        method: str,
        path: str,
        scopes: Scopes = _NOBODY,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Answer:
        """The registry's answer, with a login as soon as it asks for one. `path` may be a whole URL too.

        Only the registry itself gets the login: a URL that leads to another host goes there without.
        """
        url = urljoin(self.url("/"), path)
        own = origin(url) == origin(self.url("/"))
        trust = self._trust if own else Trust(urlsplit(url).netloc.rpartition("@")[2])
        tries = 0
        while True:
            tries += 1
            login = self.authorizer.header(scopes) if own else None
            sent = {**(headers or {}), **({"Authorization": login} if login else {})}
            answer = self.transport.request(method, url, trust, sent, body)
            # A refusal by another host, after a redirect, says nothing about the login here.
            if answer.status != 401 or not own or origin(answer.url) != origin(url):
                if own and "Warning" in answer.headers:
                    self._warn(answer)
                return answer
            secure = urlsplit(url).scheme == "https"
            try:
                again = self.authorizer.learn(answer.challenges(), scopes, login, secure=secure)
            except BaseException:
                answer.close()
                raise
            if not again or tries >= _LOGINS or isinstance(body, Sending):
                return answer
            answer.close()

    def _warn(self, answer: Answer) -> None:
        from tiffin.registry.warnings import parse_warnings  # few registries have something to say

        for text in parse_warnings(answer.warnings()):
            self._tell(f"{self.login} warns: {text}")

    def failure(self, answer: Answer, what: str) -> TiffinError:
        """The error that an answer means; `what` was asked for."""
        own = self.authorizer
        return failure_of(answer, what, Asked(self.login, own.credentials, own.basic, self._notes))

    def location(self, answer: Answer, what: str) -> str:
        """Where an upload goes on, as a whole URL.

        Registries behind a proxy that ends TLS often name themselves with http://: what is meant is
        the way that we came.
        """
        found = joined(answer.url, answer.headers.get("Location", ""))
        if not found:
            raise UnavailableError(f"{self.login} does not say where to send {what}", code="registry-status")
        own = urlsplit(answer.url)
        if urlsplit(found).scheme == "http" and own.scheme == "https":
            parts = urlsplit(found)
            if parts.netloc not in (own.netloc, own.hostname, f"{own.hostname}:80"):
                raise DeniedError(
                    f"{self.login} wants {what} sent to {shown_url(found)}, which is not encrypted",
                    code="unsafe-redirect",
                )
            found = parts._replace(scheme="https", netloc=own.netloc).geturl()
        return found

    def _probe(self) -> str:
        """The first scheme in which the host answers anything at all."""
        problem: UnavailableError | None = None
        for scheme in self._schemes:
            url = f"{scheme}://{self.host}/v2/"
            try:
                self.transport.request("GET", url, self._trust, {}, attempts=1).close()
            except UnavailableError as error:
                problem = error
                if error.code in ("unknown-host", "proxy") or (
                    error.code == "unreachable" and urlsplit(url).port
                ):
                    break
            else:
                return scheme
        assert problem is not None
        raise problem

    def _send_login(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        same = urlsplit(url).netloc == self.host
        trust = self._trust if same else Trust(urlsplit(url).netloc.rpartition("@")[2])
        return self.transport.request(method, url, trust, headers, body)
