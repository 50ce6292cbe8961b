"""The relay of one build: started with the first step that has a network, ended with the build.

It answers each step at a socket of that step alone. In a network of its own the step finds it on its
loopback, at a port that is always the same, so that addresses do not differ from build to build: the socket
was made there by the process that starts the step, and handed to us. On the host's network the port is any,
and a token that only the step is told keeps others of this machine out.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.build.relay.answering import Means
from tiffin.build.relay.keeping import Keeper
from tiffin.build.relay.lending import Lent, Step, lend_relay
from tiffin.build.relay.logins import Logins
from tiffin.build.relay.server import BACKLOG, Door
from tiffin.build.relay.shelf import Shelf
from tiffin.build.relay.sources import read_sources
from tiffin.build.relay.target import Addresses
from tiffin.build.relay.upstream import Upstream
from tiffin.linux.terminal import receive_fd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tiffin.build.relay.sources import Sources
    from tiffin.store.home import Home

PORT: Final = 19090
_LOOPBACK: Final = "127.0.0.1"


class Entrance(NamedTuple):
    """Where one step finds the relay.

    `door` is the descriptor by which the process that starts the step sends a socket, and the port of that.
    """

    addresses: Addresses
    proxy: str
    sources: Sources
    door: tuple[int, int] | None = None

    def lend(self, lent: Mapping[str, str], own: Mapping[str, str], has: Callable[[str], bool]) -> Lent:
        """What the step is told; `lent` is what it would get without, `own` and `has` are what it has."""
        return lend_relay(lent, self.sources, self.addresses, self.proxy, Step(own, has))


class Relay:
    """Fetches for the steps of one build. `bundle` are the CAs to trust; `tell` shows a notice.

    What is kept takes at most `most` bytes in the end; None for no limit.
    """

    def __init__(
        self,
        home: Home,
        environ: Mapping[str, str],
        bundle: Path | None,
        tell: Callable[[str], None],
        most: int | None = None,
    ) -> None:
        self._most = most
        self._shelf = shelf = Shelf(home)
        shelf.create()
        self._key = shelf.key()
        self._sources = read_sources(environ)
        logins = Logins(self._sources, environ)
        self._upstream = Upstream(self._sources, logins, environ, os.fspath(bundle) if bundle else None)
        self._keeper = Keeper(shelf, self._upstream, home.locks, tell)
        self._means = Means(self._sources, self._upstream, self._keeper)

    def close(self) -> None:
        """End what is under way, and forget what was not used for long if too much is kept."""
        self._keeper.close()
        self._upstream.close()
        if self._most is not None and self._shelf.taken() > self._most:
            self._shelf.trim(self._most)

    @contextmanager
    def entrance(self, *, shared: bool) -> Iterator[Entrance]:
        """Answer one step until the block ends; `shared` says that it is in the host's network."""
        with self._shared() if shared else self._own() as entrance:
            yield entrance

    @contextmanager
    def _shared(self) -> Iterator[Entrance]:
        token = secrets.token_hex(16)
        listener = socket.create_server((_LOOPBACK, 0), backlog=BACKLOG)
        port = listener.getsockname()[1]
        addresses = Addresses(f"http://{_LOOPBACK}:{port}/{token}", self._key)
        door = Door(listener, self._means, addresses, token)
        try:
            yield Entrance(addresses, f"http://relay:{token}@{_LOOPBACK}:{port}", self._sources)
        finally:
            door.close()

    @contextmanager
    def _own(self) -> Iterator[Entrance]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        base = f"http://{_LOOPBACK}:{PORT}"
        addresses = Addresses(base, self._key)
        doors: list[Door] = []

        def receive() -> None:
            while (fd := receive_fd(ours.fileno())) is not None:
                doors.append(Door(socket.socket(fileno=fd), self._means, addresses, ""))

        thread = threading.Thread(target=receive, daemon=True, name="relay-door")
        thread.start()
        try:
            yield Entrance(addresses, base, self._sources, (theirs.fileno(), PORT))
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            thread.join()
            ours.close()
            theirs.close()
            for door in doors:
                door.close()
