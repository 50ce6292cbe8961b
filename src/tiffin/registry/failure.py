"""What a registry or the network answered → one line for the user, without a secret in it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from tiffin.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    TiffinError,
    UnauthorizedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.registry.credentials import Credentials
    from tiffin.registry.transport import Answer

LARGEST_ERROR: Final = 64 << 10
_SHOWN: Final = 300
_CORRUPT: Final = frozenset({"DIGEST_INVALID", "SIZE_INVALID", "MANIFEST_INVALID"})
_ABSENT: Final = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"})
_LOST: Final = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})
_WAITS: Final = {
    408: "took too long",
    429: "wants fewer requests",
    500: "has an internal error",
    502: "cannot reach what lies behind it",
    503: "is overloaded or being serviced",
    504: "cannot reach what lies behind it",
    507: "has no space left",
}


class Said(NamedTuple):
    """What a registry says in the body of an error: its codes and its words."""

    codes: tuple[str, ...]
    text: str


class _Error(msgspec.Struct):
    code: Any = ""
    message: Any = ""
    detail: Any = None


class _Errors(msgspec.Struct):
    errors: list[_Error] = []
    details: Any = None


def shown_url(url: str) -> str:
    """The URL as it may be shown: neither login nor query, for a signature is as good as a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` for every secret, on one line, printable and not long."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret:
            text = text.replace(secret, "***")
    line = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(line.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def parse_errors(data: bytes) -> Said:
    """The body of an error answer (distribution-spec, "Error Codes"); nothing where it is something else."""
    try:
        found = msgspec.json.decode(data, type=_Errors)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Said((), "")
    codes = tuple(error.code.upper() for error in found.errors if isinstance(error.code, str))
    words = [error.message for error in found.errors if isinstance(error.message, str) and error.message]
    if not words and isinstance(found.details, str):
        words = [found.details]
    return Said(codes, "; ".join(dict.fromkeys(words)))


class Asked(NamedTuple):
    """Who was asked, and as whom: the registry by the name that logins have for it, and the login.

    `basic` says that the login itself went along and not a token made from it, so that it is the login
    that is refused; `notes` are what went wrong with logins before; `secrets` are not to be shown.
    """

    host: str
    credentials: Credentials | None = None
    basic: bool = False
    notes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def failure_of(answer: Answer, what: str, asked: Asked) -> TiffinError:
    """The error that an answer without success means; reads and closes the answer."""
    host = asked.host
    try:
        said = parse_errors(answer.read(LARGEST_ERROR, what, truncate=True))
    except TiffinError:
        said = Said((), "")
    own = asked.credentials.secrets() if asked.credentials else ()
    words = redact(said.text, (*asked.secrets, *own))
    tail = f": {words}" if words else ""
    status = answer.status
    if status in (401, 403) and not _is_limit(said):
        return _refused(what, status, tail, asked)
    if _LOST.intersection(said.codes):
        return UnavailableError(
            f"{host} has lost the upload of {what}{tail}", code="cut-off", hint="try again"
        )
    if status in (404, 410) or _ABSENT.intersection(said.codes):
        return NotFoundError(
            f"{what} does not exist on {host}{tail}",
            code="not-in-registry",
            hint="check the spelling; private images look like this too without a login",
        )
    if status == 429 or _is_limit(said):
        return _limited(answer, tail, asked)
    if status == 400 and _CORRUPT.intersection(said.codes):
        return CorruptError(f"{host} refuses {what}{tail}", code="refused-content")
    if status == 413:
        return UnavailableError(
            f"{host} takes {what} only in smaller pieces{tail}",
            code="too-large",
            hint="raise the limit for the size of requests in the registry or in the proxy before it",
        )
    if status == 407:
        return proxy_login_needed(host)
    why = _WAITS.get(status, "does not do that")
    kind = UnavailableError if status >= 500 or status in _WAITS else TiffinError
    return kind(
        f"{what}: {host} {why} (status {status}){tail}",
        code="registry-status",
        hint="try again later" if status >= 500 or status in _WAITS else "",
    )


def proxy_login_needed(beyond: str) -> UnavailableError:
    """The proxy on the way to `beyond`, a host or a URL that may be shown, lets nobody through unnamed."""
    return UnavailableError(
        f"the proxy before {beyond} asks for a login",
        code="proxy",
        hint="put it into the proxy's URL: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    )


def login_refused(host: str, credentials: Credentials) -> UnauthorizedError:
    """The login itself is wrong, whatever it was wanted for."""
    who = f"user {credentials.username}" if credentials.username else "the token"
    origin = f" from {credentials.source}" if credentials.source else ""
    return UnauthorizedError(
        f"{host} refuses the login of {who}{origin}",
        code="login-refused",
        hint=f"log in again: tiffin login {host}",
    )


def _refused(what: str, status: int, tail: str, asked: Asked) -> TiffinError:
    host, credentials = asked.host, asked.credentials
    if credentials is None:
        hint = f"check the spelling, or log in: tiffin login {host}"
        return UnauthorizedError(
            f"{what} does not exist on {host}, or needs a login{tail}",
            code="login-needed",
            hint="; ".join((*asked.notes, hint)),
        )
    if status == 401 and asked.basic:
        return login_refused(host, credentials)
    who = credentials.username or "this login"
    return DeniedError(
        f"{host} does not let {who} use {what}{tail}",
        code="access-denied",
        hint=f"check the spelling and the rights of {who}, or log in as someone else: tiffin login {host}",
    )


def _is_limit(said: Said) -> bool:
    return "TOOMANYREQUESTS" in said.codes


def _limited(answer: Answer, tail: str, asked: Asked) -> UnavailableError:
    host = asked.host
    wait = answer.headers.get("Retry-After", "").strip()
    when = f" in {wait} seconds" if wait.isdecimal() and len(wait) < 7 else " later"
    login = "" if asked.credentials else f", log in for a higher limit (tiffin login {host})"
    return UnavailableError(
        f"{host} has had too many requests from here{tail}",
        code="rate-limit",
        hint=f"try again{when}{login}, or name a mirror in TIFFIN_MIRRORS",
    )
