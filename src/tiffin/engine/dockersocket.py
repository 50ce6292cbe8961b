"""Images in and out of a Docker daemon on this machine, by its API (docs.docker.com/reference/api/engine)."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import quote

from tiffin.errors import DeniedError, NotFoundError, UnavailableError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from http.client import HTTPConnection

_DEFAULT: Final = "unix:///var/run/docker.sock"
_SECONDS: Final = 600
_LONGEST: Final = 1 << 20
_CHUNK: Final = 1 << 20


def save_image(environ: Mapping[str, str], name: str, out: BinaryIO) -> None:
    """Write to `out` the archive that `docker save NAME` writes."""
    with _asking(environ) as connection:
        connection.request("GET", f"/images/{quote(name, safe='/:@')}/get")
        answer = connection.getresponse()
        if answer.status == 404:
            raise NotFoundError(f"Docker has no image {name}", code="no-such-image")
        if answer.status != 200:
            raise _refused(answer.read(_LONGEST))
        while data := answer.read(_CHUNK):
            out.write(data)


def load_image(environ: Mapping[str, str], archive: BinaryIO) -> None:
    """Let the daemon take in an archive, as `docker load` does."""
    with _asking(environ) as connection:
        connection.request("POST", "/images/load?quiet=1", archive, {"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        said = answer.read(_LONGEST)
        # What goes wrong after the head of the answer is told in its body, as a line of JSON.
        if answer.status != 200 or b'"error"' in said:
            raise _refused(said)


@contextmanager
def _asking(environ: Mapping[str, str]) -> Iterator[HTTPConnection]:
    host = environ.get("DOCKER_HOST") or _DEFAULT
    scheme, _, path = host.partition("://")
    if scheme != "unix":
        raise UnsupportedError(
            f"DOCKER_HOST is {host}, and docker-daemon: is for a daemon on this machine",
            code="docker-host",
            hint="use a registry, or a unix:// socket",
        )
    from http.client import HTTPConnection, HTTPException

    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    channel.settimeout(_SECONDS)
    try:
        channel.connect(path)
    except PermissionError as error:
        channel.close()
        raise DeniedError(
            f"the Docker daemon at {path} does not let us in",
            code="docker-denied",
            hint="call tiffin as a member of the group that owns the socket, usually docker",
        ) from error
    except OSError as error:
        channel.close()
        raise UnavailableError(
            f"there is no Docker daemon at {path}: {error.strerror or error}",
            code="docker-unavailable",
            hint="start it, or name its socket in DOCKER_HOST",
        ) from error
    connection = HTTPConnection("docker", timeout=_SECONDS)
    connection.sock = channel
    try:
        yield connection
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise UnavailableError(
            f"the Docker daemon at {path} broke off: {error}", code="docker-unavailable"
        ) from error
    finally:
        connection.close()


def _refused(said: bytes) -> UnavailableError:
    text = said.decode(errors="replace").strip()
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and (message := document.get("message") or document.get("error")):
            text = str(message)
    return UnavailableError(f"Docker says: {text[:400]}", code="docker-error")
