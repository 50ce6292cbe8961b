"""Where a command stands: the rung of the ladder, and the user namespace that it enters without root."""

from __future__ import annotations

import errno
import os

from tiffin.errors import UnsupportedError
from tiffin.linux.isolation import AUTO, Isolation, Rung, decide
from tiffin.linux.namespace import enter_user_namespace, join_user_namespace
from tiffin.linux.probe import examine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.engine.settings import Settings
    from tiffin.linux.namespace import IdMap
    from tiffin.linux.probe import Facts
    from tiffin.network.home import Inside
    from tiffin.runtime.spec import Place

_OUTER_PROC = (
    "containers see the processes around them in /proc, because parts of that are hidden here, and then the "
    "kernel lets nobody have another: give the surrounding container all of /proc (Docker: --security-opt "
    "systempaths=unconfined, Kubernetes: procMount: Unmasked)"
)
_COPIED = "root filesystems are copied, which takes time and room, because "
_NO_UPPER = (
    "overlayfs cannot write on {}: keep the store on a local disk, such as a mounted volume (TIFFIN_HOME)"
)
_NO_OVERLAY = "overlayfs cannot be mounted in a user namespace here ({}): Linux 5.11 and newer let it be"
_LENT = (
    "root in containers is root of this machine, with no rights there: this kernel cannot map the owners of "
    "their files, Linux 5.19 and newer can"
)


_DOCTOR = "'tiffin doctor' says what this machine allows, and what it would need"
_REFUSED = "--isolation traced (TIFFIN_ISOLATION) needs none; "
_IN_NAME = "owners and users are changed in name only, for calls cannot be answered here"


class Footing:
    """The rung of this process, found once; `enter` moves the process there when a use case needs it."""

    def __init__(self, settings: Settings) -> None:
        self._facts: Facts = examine(settings.home.root)
        self._isolation: Isolation = decide(self._facts, settings.isolation or AUTO)
        self._entered = False
        self._unanswered: str | None = None
        self.networks: Inside | None = None
        """What `networking.go_home` has opened."""

    @property
    def rung(self) -> Rung:
        """The rung that was decided on."""
        return self._isolation.rung

    @property
    def isolation(self) -> Isolation:
        """The decision, with what stands in the way of higher rungs."""
        return self._isolation

    @property
    def plain(self) -> bool:
        """Whether root filesystems are directories as they are, because there are no overlays."""
        return self._isolation.plain

    def enter(self, beside: int = 0) -> None:
        """Be root over the owners of the store: without root, inside a user namespace from here on.

        That is one of our own, or that of the process `beside`, which another command of ours has made.
        The process must have one thread. Further calls do nothing. Raises
        UnsupportedError with what this system forbids.
        """
        if self._entered or not self._isolation.enter:
            return
        try:
            if beside:
                join_user_namespace(beside)
            else:
                enter_user_namespace(self._isolation.uids, self._isolation.gids)
        except OSError as error:
            refused = error.errno == errno.EPERM and not error.filename
            raise UnsupportedError(
                f"this process cannot become root of a user namespace: {error.strerror}",
                code="no-user-namespace",
                hint=(_REFUSED if refused else "") + _DOCTOR,
            ) from error
        self._entered = True

    @property
    def entered(self) -> bool:
        """Whether this process has moved already."""
        return self._entered

    def place(self) -> Place:
        """Return where containers run, for their specs."""
        from tiffin.runtime.model import UserMap
        from tiffin.runtime.spec import Place  # only who makes a spec needs it

        facts, isolation = self._facts, self._isolation
        new = isolation.rung is Rung.ROOT
        return Place(
            machine=facts.machine,
            kernel=facts.kernel,
            memory=facts.memory,
            users=UserMap(isolation.uids, isolation.gids) if new else UserMap(),
            ids=isolation.uids,
            single_id=isolation.rung is Rung.SINGLE_ID,
            own_proc=facts.whole_proc,
            recorded=self.records,
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """What containers here have less of than on other machines."""
        if not self.rung.has_walls:
            return ()
        found = [] if self._facts.whole_proc else [_OUTER_PROC]
        if self.plain and self._facts.overlay:
            found.append(_COPIED + _NO_OVERLAY.format(self._facts.overlay))
        elif self.plain:
            found.append(_COPIED + _NO_UPPER.format(self._facts.store_filesystem))
        if self._isolation.lent:
            found.append(_LENT)
        if self.rung is Rung.SINGLE_ID and not self.records:
            found.append(f"{_IN_NAME}: {self.unanswered}; `tiffin doctor` says what would help")
        return tuple(found)

    @property
    def records(self) -> bool:
        """Whether owners are recorded as containers change them, by answering their calls."""
        return self.rung is Rung.TRACED or (self.rung is Rung.SINGLE_ID and not self.unanswered)

    @property
    def unanswered(self) -> str:
        """Why the calls of containers cannot be answered here; empty if they can."""
        if self._unanswered is None:
            from tiffin.linux import notify  # one rung needs it
            from tiffin.runtime.emulation.caller import unmarkable

            self._unanswered = unmarkable() or notify.missing()
        return self._unanswered

    @property
    def taken_ids(self) -> tuple[IdMap, ...]:
        """Ids that accounts of this machine may use for containers of their own."""
        return self._facts.taken_ids

    def key(self) -> tuple[object, ...]:
        """Return all that `place` depends on, as plain values."""
        facts, isolation = self._facts, self._isolation
        maps = (tuple(map(tuple, isolation.uids)), tuple(map(tuple, isolation.gids)))
        known = facts.machine, facts.kernel, facts.memory, facts.whole_proc
        return isolation.rung.value, *maps, *known, isolation.plain, self.records


def machine() -> str:
    """Return the name of this machine's architecture, as uname says it."""
    return os.uname().machine
