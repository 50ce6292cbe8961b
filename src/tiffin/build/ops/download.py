"""Files of the web on their way to the disk: through the host's proxies and CAs, never held in memory.

A connection that is cut is taken up where it ended, if the server can do that and has the same file still.
"""

from __future__ import annotations

import errno
import hashlib
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from tiffin.build.canceled import Canceled
from tiffin.build.giturl import without_login
from tiffin.build.ops.urlmemory import Validators
from tiffin.errors import DeniedError, NotFoundError, TiffinError, UnauthorizedError, UnavailableError
from tiffin.events import StepProgress
from tiffin.linux.room import check_reserve, in_words, room_of
from tiffin.registry.failure import proxy_login_needed
from tiffin.registry.hostfiles import HostFiles
from tiffin.registry.transport import Transport, Trust

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from tiffin.events import Emit
    from tiffin.registry.transport import Answer

_PATIENCE: Final = 5  # cuts in a row
_ENOUGH: Final = 256 << 10  # what has to arrive for a cut connection to count as progress
_TOLD: Final = 1 << 20  # bytes between two words of progress
_RESERVE: Final = 256 << 20  # bytes that a server may not take of the disk
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_ROOM: Final = "make room below TIFFIN_HOME (tiffin system prune), or see what the server sends"
_HINTS: Final = {
    "enospc": _ROOM,
    "edquot": _ROOM,
    "certificate": "name the bundle with its CA in SSL_CERT_FILE",
    "not-tls": "write http:// if that is meant",
    "tls": "it may speak only outdated TLS",
    "unsafe-redirect": "write the address that it leads to, with --checksum",
    "redirects": "the server is at fault",
}


class Web(NamedTuple):
    """How the web is reached: the environment names proxies and CAs, and `secrets` may hold logins."""

    environ: Mapping[str, str]
    secrets: Mapping[str, bytes] = {}
    read_seconds: float = 30.0


class Offer(NamedTuple):
    """An answer that has a file, not read yet, and by what it can be asked for again."""

    url: str
    answer: Answer
    validators: Validators


class Received(NamedTuple):
    """The SHA-256 of what came, and the digest by the algorithm that was asked for."""

    digest: str
    checksum: str


class Downloads:
    """Fetches files; `stop` ends it. Safe for threads."""

    def __init__(self, web: Web, stop: threading.Event) -> None:
        self._web = web
        self._stop = stop
        self._transport = Transport(
            HostFiles(web.environ), web.environ, sleep=self._sleep, read_seconds=web.read_seconds
        )

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._transport.close()

    def ask(self, url: str, known: Validators | None = None) -> Offer | None:
        """Return what the server has at `url`, or None if that is what is `known`. Raises TiffinError."""
        headers = {}
        if known and known.etag:
            headers["If-None-Match"] = known.etag
        elif known and known.modified:
            headers["If-Modified-Since"] = known.modified
        answer = self._request(url, headers)
        found = Validators(answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))
        # Some servers send it all again whatever they are asked.
        if answer.status == 304 or (known and found.etag and found.strong == known.strong):
            answer.close()
            return None
        return Offer(url, answer, found)

    def receive(self, offer: Offer, target: Path, algorithm: str, emit: Emit, step: str) -> Received:
        """Write what is offered to the new file `target`. Raises TiffinError; Canceled if it is stopped."""
        with target.open("xb") as file:
            pouring = _Pouring(
                file, algorithm, self._stop, lambda at, total: emit(StepProgress(step, at, total))
            )
            answer, failures = offer.answer, 0
            while True:
                before = pouring.at
                try:
                    pouring.pour(answer)
                    break
                except UnavailableError as error:
                    failures = 1 if pouring.at - before >= _ENOUGH else failures + 1
                    if error.code != "cut-off" or failures > _PATIENCE:
                        raise _told(error, offer.url) from error
                self._transport.pause(failures - 1)
                answer = self._again(offer, pouring)
        return pouring.received()

    def read(self, url: str, limit: int) -> bytes:
        """Return the whole file at `url`, at most `limit` bytes. Raises TiffinError."""
        try:
            return self._request(url, {}).read(limit, without_login(url))
        except UnavailableError as error:
            raise _told(error, url) from error

    def _again(self, offer: Offer, pouring: _Pouring) -> Answer:
        """Ask for the rest; for all of it if there is no telling whether the rest would fit."""
        etag = offer.validators.etag
        validator = offer.validators.modified if etag.startswith("W/") or not etag else etag
        headers = {"Range": f"bytes={pouring.at}-", "If-Range": validator} if validator and pouring.at else {}
        answer = self._request(offer.url, headers)
        part = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if answer.status != 206 or part is None or int(part[1]) != pouring.at:
            if answer.status == 206:
                answer.close()
                answer = self._request(offer.url, {})
            pouring.begin()
        return answer

    def _request(self, url: str, headers: Mapping[str, str]) -> Answer:
        if self._stop.is_set():
            raise Canceled
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        bare = urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=host))
        try:
            answer = self._transport.request(
                "GET", bare, Trust(host), {**self._login(url), **headers}, attempts=_PATIENCE
            )
        except (UnavailableError, DeniedError) as error:
            raise _told(error, url) from error
        wanted = 206 if "Range" in headers else 304 if headers else 200
        if answer.status not in (200, wanted):
            answer.close()
            raise _refusal(answer.status, url)
        return answer

    def _login(self, url: str) -> dict[str, str]:
        """The login in the URL, or the secret for its host, as BuildKit names them."""
        parts = urlsplit(url)
        secrets = self._web.secrets
        for name, lead in (
            (f"HTTP_AUTH_HEADER_{parts.hostname}", ""),
            (f"HTTP_AUTH_TOKEN_{parts.hostname}", "Bearer "),
        ):
            if name in secrets:
                return {"Authorization": lead + secrets[name].decode("latin-1").strip()}
        if parts.username is None:
            return {}
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Canceled


class _Pouring:
    """What has come of one file: written, counted and hashed."""

    def __init__(
        self, file: BinaryIO, algorithm: str, stop: threading.Event, tell: Callable[[int, int | None], None]
    ) -> None:
        self._file = file
        self._algorithm = algorithm
        self._stop = stop
        self._tell = tell
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self.at = 0
        self._told = 0
        self._sha256 = hashlib.sha256()
        self._other = None if self._algorithm == "sha256" else hashlib.new(self._algorithm)

    def pour(self, answer: Answer) -> None:
        """Write the body of `answer` to its end; `UnavailableError` with the code cut-off if it has none."""
        length = answer.headers.get("Content-Length", "")
        total = self.at + int(length) if length.isdecimal() else None
        while data := answer.some():
            if self._stop.is_set():
                answer.close()
                raise Canceled
            self._file.write(data)
            self._sha256.update(data)
            if self._other is not None:
                self._other.update(data)
            self.at += len(data)
            if self.at - self._told >= _TOLD:
                self._tell(self.at, total)
                self._told = self.at
                self._check_space(answer)
        answer.close()
        if total is not None and self.at < total:
            raise UnavailableError("the content ended too early", code="cut-off")

    def received(self) -> Received:
        """The digests of all that came."""
        digest = f"sha256:{self._sha256.hexdigest()}"
        return Received(digest, f"{self._algorithm}:{self._other.hexdigest()}" if self._other else digest)

    def _check_space(self, answer: Answer) -> None:
        folder = Path(self._file.name).parent
        try:
            check_reserve(folder, _RESERVE)
        except OSError as error:
            answer.close()
            left = f"{room_of(folder).told(folder)}, and {in_words(_RESERVE)} have to stay free"
            code = errno.errorcode[error.errno or errno.ENOSPC].lower()
            raise UnavailableError(f"after {self.at >> 20} MiB of it {left}", code=code) from error


def _told(error: TiffinError, url: str) -> TiffinError:
    """The error of a request in terms of the file that was wanted."""
    hint = _HINTS.get(error.code, "check the network, and the proxy (HTTPS_PROXY, NO_PROXY)")
    return type(error)(f"{without_login(url)} cannot be fetched: {error.message}", code=error.code, hint=hint)


def _refusal(status: int, url: str) -> TiffinError:
    shown = without_login(url)
    if status in (404, 410):
        return NotFoundError(
            f"{shown} does not exist (status {status})", code="url-not-found", hint="check the spelling"
        )
    if status in (401, 403):
        return UnauthorizedError(
            f"{shown} needs a login, or another one (status {status})",
            code="url-login",
            hint="give it with --secret id=HTTP_AUTH_TOKEN_HOST,env=…, or as https://USER:PASSWORD@HOST/…",
        )
    if status == 407:
        return proxy_login_needed(shown)
    return UnavailableError(
        f"{shown} is answered with status {status}", code="url-status", hint="try again later"
    )
