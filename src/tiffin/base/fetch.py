"""Getting files from mirrors: http, https and file, through the machine's proxies and with its CA.

Nothing that arrives here is trusted: sizes are limited while reading, and
whoever keeps something checks its digest.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast
from urllib.parse import unquote, urlsplit, urlunsplit

from tiffin.errors import CorruptError, NotFoundError, TiffinError, UnauthorizedError, UnavailableError
from tiffin.events import StepDone, StepProgress, StepStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from tiffin.base.machine import Network
    from tiffin.base.request import Blobs
    from tiffin.events import Emit
    from tiffin.oci.descriptor import Descriptor

    T = TypeVar("T")

_ATTEMPTS: Final = 4
_PAUSE: Final = 0.4
_CHUNK: Final = 1 << 18
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def without_login(uri: str) -> str:
    """The URI as it may be shown and recorded: without name and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else uri


class Mirror:
    """The one way to the mirrors. Safe to use from several threads."""

    def __init__(self, network: Network, *, offline: bool = False) -> None:
        self._network = network
        self._offline = offline
        self._pools: dict[str, Any] = {}

    def read(self, uri: str, limit: int) -> bytes:
        """The whole file, at most `limit` bytes of it (`CorruptError`); retried where that may help."""
        return self.fetch(uri, limit, lambda stream: b"".join(iter(lambda: stream.read(_CHUNK), b"")))

    def fetch(self, uri: str, limit: int, use: Callable[[BinaryIO], T]) -> T:
        """What `use` makes of the stream of the file; it is called anew when the transfer broke off.

        `NotFoundError`, `UnauthorizedError`, or `UnavailableError` when the mirror does not answer.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self._open(uri) as stream:
                    return use(cast("BinaryIO", _Limited(stream, limit, without_login(uri))))
            except UnavailableError as error:
                if attempt == _ATTEMPTS - 1 or error.code != "mirror":
                    raise
            time.sleep(_PAUSE * 2**attempt)
        raise AssertionError

    def check_online(self, names: Sequence[str]) -> None:
        """Raise UnavailableError with all the names, if there are any and the network must not be used."""
        if names and self._offline:
            raise UnavailableError(
                f"the network must not be used, and these packages are not here: {', '.join(names)}",
                code="offline",
                hint="run it once without --offline",
            )

    def close(self) -> None:
        """Close the connections that were kept open."""
        for pool in self._pools.values():
            pool.clear()

    @contextlib.contextmanager
    def _open(self, uri: str) -> Iterator[Any]:
        if _is_file(uri):
            with _open_file(uri) as stream:
                yield stream
            return
        if self._offline:
            raise UnavailableError(
                f"{without_login(uri)} is not here, and the network must not be used",
                code="offline",
                hint="run it once without --offline",
            )
        import urllib3

        headers = {"User-Agent": "tiffin", "Accept-Encoding": "identity"}
        if login := self._network.login(uri):
            headers |= urllib3.make_headers(basic_auth=f"{login.name}:{login.password}")
        try:
            response = self._pool(self._network.proxy(uri)).request(
                "GET", uri, headers=headers, preload_content=False, decode_content=False
            )
            try:
                _check_status(response.status, uri)
                yield response
            finally:
                response.release_conn() if response.isclosed() else response.close()
        except urllib3.exceptions.HTTPError as error:
            raise _unavailable(uri, error, self._network.ca_bundle) from error

    def _pool(self, proxy: str) -> Any:
        pool = self._pools.get(proxy)
        if pool is None:
            import ssl

            import urllib3

            settings: dict[str, Any] = {
                "retries": urllib3.Retry(total=6, connect=0, read=0, redirect=5, other=0, status=0),
                "timeout": urllib3.Timeout(connect=15, read=40),
                "maxsize": 16,
                "ssl_context": ssl.create_default_context(cafile=self._network.ca_bundle or None),
            }
            if proxy:
                address = proxy if "://" in proxy else f"http://{proxy}"
                login = urlsplit(address)
                if login.username:
                    secret = f"{unquote(login.username)}:{unquote(login.password or '')}"
                    settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=secret)
                pool = urllib3.ProxyManager(without_login(address), **settings)
            else:
                pool = urllib3.PoolManager(**settings)
            pool = self._pools.setdefault(proxy, pool)
        return pool


class Download(NamedTuple):
    """Content that is wanted, a name to show, and where it may be, the best place first."""

    name: str
    content: Descriptor
    uris: tuple[str, ...]


def download(mirror: Mirror, wanted: Sequence[Download], blobs: Blobs, emit: Emit, threads: int) -> None:
    """Have all the content in `blobs`; what is there already is not fetched. The first failure ends it."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    missing = [item for item in wanted if not blobs.has(item.content)]
    mirror.check_online([item.name for item in missing if not any(map(_is_file, item.uris))])
    total = sum(item.content.size for item in missing)
    started = time.monotonic()
    step = "base/download"
    emit(StepStarted(step, f"download {len(missing)} of {len(wanted)} packages"))
    done = 0
    pool = ThreadPoolExecutor(max_workers=max(1, threads))
    try:
        # The large ones first: they decide when it is over.
        order = sorted(missing, key=lambda item: -item.content.size)
        jobs = {pool.submit(_keep, mirror, item, blobs): item for item in order}
        for job in as_completed(jobs):
            job.result()
            done += jobs[job].content.size
            emit(StepProgress(step, done, total))
    except BaseException:
        emit(StepDone(step, "failed", time.monotonic() - started))
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    emit(StepDone(step, "done" if missing else "cached", time.monotonic() - started, f"{total / 1e6:.1f} MB"))


def _keep(mirror: Mirror, item: Download, blobs: Blobs) -> None:
    problem: TiffinError | None = None
    for uri in item.uris:
        try:
            mirror.fetch(uri, item.content.size, lambda stream: blobs.ingest(stream, item.content))
        except NotFoundError as error:
            problem = error
        except CorruptError as error:
            raise CorruptError(
                f"{item.name} from {without_login(uri)} is not what the signed index says: {error.message}",
                code="package-mismatch",
                hint="the mirror is being updated or is wrong; try again, or use another mirror",
            ) from error
        else:
            return
    raise problem or UnavailableError(
        f"{item.name} is not in the store, and no place to get it from is known",
        code="offline",
        hint="run it once without --offline",
    )


class _Limited:
    """A stream that ends in an error after `limit` bytes; read errors of the network become ours."""

    def __init__(self, stream: Any, limit: int, name: str) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit
        self._name = name

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(min(size if size >= 0 else _CHUNK, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise CorruptError(
                f"{self._name} is longer than the {self._limit} bytes it should have", code="too-long"
            )
        return data


def _is_file(uri: str) -> bool:
    return urlsplit(uri).scheme in {"file", "copy"}


def _open_file(uri: str) -> BinaryIO:
    path = Path(unquote(urlsplit(uri).path))
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise _missing(uri) from None


def _check_status(status: int, uri: str) -> None:
    if status == 200:
        return
    if status in {404, 410}:
        raise _missing(uri)
    if status in {401, 403, 407}:
        raise UnauthorizedError(
            f"{without_login(uri)}: the mirror or proxy refuses with status {status}",
            code="mirror-login",
            hint="put name and password into apt's auth.conf, or look at the proxy settings",
        )
    raise UnavailableError(
        f"{without_login(uri)}: the mirror answers with status {status}",
        code="mirror" if status in _BUSY else "mirror-answer",
        hint="try again later, or use another mirror",
    )


def _missing(uri: str) -> NotFoundError:
    return NotFoundError(
        f"{without_login(uri)} does not exist",
        code="not-on-mirror",
        hint="look at the mirror's URI and the name of the suite",
    )


def _unavailable(uri: str, error: Exception, bundle: str) -> UnavailableError:
    reason = str(getattr(error, "reason", None) or error)[:200]
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return UnavailableError(
            f"{without_login(uri)}: the certificate is not trusted ({reason})",
            code="mirror-certificate",
            hint=f"the CA bundle in use is {bundle or 'the default'}; SSL_CERT_FILE names another",
        )
    return UnavailableError(
        f"{without_login(uri)}: the mirror cannot be reached ({reason})",
        code="mirror",
        hint="look at the network and the proxy settings, or use another mirror: --mirror URI",
    )
