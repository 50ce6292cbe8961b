"""What a step borrows of the host: variables, files, the CA bundle, and the relay that serves its tools."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.build.hostenv import find_bundle, lend, only_proxies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.build.graph import Run
    from tiffin.build.ops.connection import Connection
    from tiffin.build.ops.run import StepSettings
    from tiffin.build.relay.lending import Lent
    from tiffin.build.relay.relay import Entrance, Relay
    from tiffin.snapshot.merged import MergedTree


class Lender:
    """Lends to the steps of one build. `bundle` is the file with the host's CAs that steps get, if any."""

    def __init__(self, connection: Connection, settings: StepSettings, *, single_id: bool) -> None:
        self._connection = connection
        self._settings = settings
        self._single_id = single_id
        self._trusted = find_bundle(settings.environ)
        self.bundle: Path | None = None if settings.sealed else self._trusted
        self._guard = threading.Lock()
        self._relay: Relay | None = None
        self._told = False

    def close(self) -> None:
        """End what serves the steps."""
        if self._relay is not None:
            self._relay.close()

    @contextmanager
    def entrance(self, op: Run) -> Iterator[Entrance | None]:
        """Yield where the step finds the relay, if it has a network and no proxy of its own."""
        make = self._settings.relay
        if make is None or not self._connection.is_served(op.network):
            yield None
            return
        from tiffin.build.relay.lending import wants_relay

        if not wants_relay(own_variables(op)):
            yield None
            return
        with self._guard:
            if self._relay is None:
                self._relay = make(self._trusted)
            relay = self._relay
        with relay.entrance(shared=self._connection.shares_host(op.network)) as entrance:
            yield entrance

    def lent(self, op: Run, tree: MergedTree, entrance: Entrance | None) -> Lent:
        """Return what the step on `tree` is lent: variables, and the texts of files."""
        from tiffin.build.relay.lending import APT, Lent

        environ, own = self._settings.environ, own_variables(op)
        if self._settings.sealed:
            environ = only_proxies(environ) if entrance is not None else {}
        lent = Lent(lend(environ, self.bundle, own).variables, {})
        if entrance is not None:
            self._say_what_is_withheld(lent.variables)
            lent = entrance.lend(lent.variables, own, lambda path: tree.resolve(path).node is not None)
        if self._single_id:
            # Where there is one id, apt cannot become its download user, and says so instead of going on.
            lent.files[APT] = 'APT::Sandbox::User "root";\n' + lent.files.get(APT, "")
            lent.variables.setdefault("APT_CONFIG", APT)
        return lent

    def _say_what_is_withheld(self, variables: dict[str, str]) -> None:
        from tiffin.build.relay.lending import withheld

        with self._guard:
            names = [] if self._told else withheld(variables)
            self._told = True
        if names:
            verb, they, them = (
                ("is", "it carries", "it") if len(names) == 1 else ("are", "they carry", "them")
            )
            told = (
                f"{' and '.join(names)} {verb} not lent to steps, for {they} a login: --no-relay lends {them}"
            )
            self._settings.tell(told)


def own_variables(op: Run) -> dict[str, str]:
    """The variables that the step has of its own: of the image, the Dockerfile, and build arguments."""
    return {name: value for name, _, value in (item.partition("=") for item in (*op.env, *op.ambient))}
