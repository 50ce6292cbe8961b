"""Logins as registries ask for them: challenge → token, by scope (distribution's token specification).

One `Authorizer` belongs to one registry. It keeps tokens as long as they are good, and gets each one
once, however many threads want it.
"""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from tiffin.errors import DeniedError, UnavailableError
from tiffin.registry.failure import Asked, failure_of, login_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.registry.credentials import Credentials
    from tiffin.registry.transport import Answer

CLIENT_ID: Final = "tiffin"
_TOKEN_LIMIT: Final = 1 << 20
_SECONDS: Final = 60  # how long a token is good that does not say it (token specification)
_MARGIN: Final = 10
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, section 5.6.2
_PARAMETER: Final = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*')
_SCHEME: Final = re.compile(rf"\s*({_TOKEN})(?:\s+|\s*$|(?=,))")
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?=,|$)")

Scopes = frozenset[str]


class Challenge(NamedTuple):
    """One way to log in that a registry offers; the scheme is in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of all WWW-Authenticate headers (RFC 9110, 11.6.1); what is not one is passed over."""
    found: list[Challenge] = []
    for value in values:
        rest = value
        parameters: dict[str, str] | None = None
        while rest := rest.lstrip(" \t,"):
            pair = _PARAMETER.match(rest)
            if pair is not None and parameters is not None:
                quoted, plain = pair[2], pair[3]
                text = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                parameters.setdefault(pair[1].lower(), text)
                rest = rest[pair.end() :]
                continue
            scheme = _SCHEME.match(rest)
            if scheme is None:
                break
            parameters = {}
            found.append(Challenge(scheme[1].lower(), parameters))
            rest = rest[scheme.end() :]
            credentials = _TOKEN68.match(rest)
            if credentials is not None:
                rest = rest[credentials.end() :]
    return found


def scope(repository: str, *actions: str) -> str:
    """The scope for these actions on a repository."""
    return f"repository:{repository}:{','.join(actions)}"


class _TokenAnswer(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: float = _SECONDS


class _Known(NamedTuple):
    header: str
    until: float


class Authorizer:
    """The login to one registry.

    `send(method, url, headers, body)` reaches the token server. With `offline` set, a token
    that outlives this process is asked for, and `refresh_token` holds it once `header` was called.
    """

    def __init__(
        self,
        host: str,
        credentials: Credentials | None,
        send: Callable[[str, str, Mapping[str, str], bytes | None], Answer],
        clock: Callable[[], float],
    ) -> None:
        self.host = host
        self.credentials = credentials
        self.refresh_token = credentials.identity_token if credentials else ""
        self.offline = False
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._known: dict[Scopes, _Known] = {}

    def header(self, scopes: Scopes) -> str | None:
        """What to put into Authorization; None as long as the registry has not asked for anything."""
        with self._lock:
            return self._header(scopes)

    @property
    def basic(self) -> bool:
        """The registry wants the login itself, not a token."""
        return self._challenge is not None and self._challenge.scheme == "basic"

    def learn(self, values: Iterable[str], scopes: Scopes, sent: str | None, *, secure: bool) -> bool:
        """Take in the challenges of a refusal; whether another try, with another header, makes sense.

        `secure` says that the registry was asked over TLS. `UnauthorizedError` when the token
        server refuses the login.
        """
        challenges = parse_challenges(values)
        with self._lock:
            if self._header(scopes) not in (sent, None):
                return True  # another thread was faster
            chosen = next((one for one in challenges if one.scheme == "bearer"), None)
            chosen = chosen or next((one for one in challenges if one.scheme == "basic"), None)
            if chosen is None:
                return False
            if chosen.scheme == "bearer":
                self._check_realm(chosen, secure=secure)
                self._known.pop(scopes, None)
            self._challenge = chosen
            return self._header(scopes, extra=chosen.parameters.get("scope", "")) not in (sent, None)

    def _header(self, scopes: Scopes, extra: str = "") -> str | None:
        own = self.credentials
        if own is not None and own.registry_token:
            return f"Bearer {own.registry_token}" if self._challenge else None
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return _basic(own) if own is not None and own.password else None
        known = self._known.get(scopes)
        if known is None or known.until <= self._clock():
            known = self._known[scopes] = self._fetch(self._challenge, scopes | set(extra.split()))
        return known.header

    def _check_realm(self, challenge: Challenge, *, secure: bool) -> None:
        realm = urlsplit(challenge.parameters.get("realm", ""))
        safe = realm.scheme == "https" or (realm.scheme == "http" and not secure)
        if safe and realm.hostname:
            return
        raise DeniedError(
            f"the registry {self.host} sends logins to {realm.scheme or 'nowhere'}://{realm.hostname or ''},"
            " where they would not be safe",
            code="unsafe-login",
            hint="the registry has to name a token server with https://; tell its owner",
        )

    def _fetch(self, challenge: Challenge, scopes: Scopes) -> _Known:
        begun = self._clock()
        realm = challenge.parameters["realm"]
        service = challenge.parameters.get("service", "")
        wanted = sorted(scopes)
        answer = self._by_refresh_token(realm, service, wanted) if self.refresh_token else None
        if answer is None:
            answer = self._by_password(realm, service, wanted)
        token = answer.token or answer.access_token
        if not token:
            raise UnavailableError(
                f"the token server {urlsplit(realm).hostname} of {self.host} gave no token",
                code="no-token",
                hint="try again later",
            )
        if any(char in token for char in "\r\n\0"):
            raise UnavailableError(f"the token server of {self.host} gave a malformed token")
        return _Known(f"Bearer {token}", begun + max(answer.expires_in - _MARGIN, _MARGIN))

    def _by_password(self, realm: str, service: str, scopes: list[str]) -> _TokenAnswer:
        own = self.credentials
        query = [("service", service)] if service else []
        query += [("scope", one) for one in scopes]
        headers = {}
        if own is not None and own.password:
            query += [("account", own.username), ("client_id", CLIENT_ID)]
            query += [("offline_token", "true")] if self.offline else []
            headers["Authorization"] = _basic(own)
        joint = "&" if "?" in realm else "?"
        return self._ask("GET", f"{realm}{joint}{urlencode(query)}" if query else realm, headers, None)

    def _by_refresh_token(self, realm: str, service: str, scopes: list[str]) -> _TokenAnswer:
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": self.refresh_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", realm, headers, urlencode(form).encode())

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> _TokenAnswer:
        answer = self._send(method, url, headers, body)
        what = f"the token server of {self.host}"
        if answer.status in (400, 401, 403) and self.credentials is not None:
            answer.close()
            raise login_refused(self.host, self.credentials)
        if answer.status != 200:
            raise failure_of(answer, what, Asked(self.host, secrets=self._secrets()))
        data = answer.read(_TOKEN_LIMIT, what)
        try:
            found = msgspec.json.decode(data, type=_TokenAnswer)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UnavailableError(
                f"{what} gave no valid answer", code="no-token", hint="try again later"
            ) from None
        # A server may hand out a new one with each use; one that was not asked for is not kept.
        if found.refresh_token and (self.offline or self.refresh_token):
            self.refresh_token = found.refresh_token
        return found

    def _secrets(self) -> tuple[str, ...]:
        own = self.credentials.secrets() if self.credentials else ()
        return (*own, self.refresh_token) if self.refresh_token else own


def _basic(credentials: Credentials) -> str:
    both = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(both).decode()
