"""What runs the RUN steps of a build, put together when the first of them is not remembered.

Nothing of it is loaded for a build in which nothing changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.build.hostenv import socks_proxy
from tiffin.build.ops.cachemounts import CacheMounts
from tiffin.build.ops.connection import Connection
from tiffin.build.ops.furnish import Furnisher, Lodging
from tiffin.build.ops.run import StepRunner, StepSettings
from tiffin.engine.cachelimit import limit_of
from tiffin.engine.room import advice
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.events import Notice
from tiffin.linux.isolation import Rung
from tiffin.network.leases import state_directory
from tiffin.offline import is_offline

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.build.imported import ImportedCaches
    from tiffin.build.ops.plainground import PlainGround
    from tiffin.build.relay.relay import Relay
    from tiffin.engine.building.inputs import Lent
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine

_AUTOMATIC = ("", "default", "bridge", "private")
_NO_WALL = (
    "steps are isolated by {} alone, because nothing can be mounted here: they see the processes and "
    "the network of the surrounding container; `tiffin doctor` says what would change that"
)
RELAY: Final = "TIFFIN_RELAY"
LIMIT: Final = "TIFFIN_RELAY_LIMIT"
_USUAL: Final = "10%"
_MODES: Final = ("on", "only", "off")


def make_runner(
    engine: Engine, request: BuildRequest, lent: Lent, imported: ImportedCaches | None
) -> StepRunner:
    """Return what runs the RUN steps of `request`; new cache mounts are filled from what is `imported`."""
    steps = request.steps
    state = state_directory(engine.home.run)
    walls, offline = engine.rung.has_walls, is_offline(engine.settings.environ)
    network = request.network if walls or request.network not in _AUTOMATIC else "host"
    network = "none" if offline else network
    connection = Connection(network, state, root=engine.rung is Rung.ROOT, extra=steps.hosts, offline=offline)
    for notice in (*engine.footing.notices, *connection.notices):
        engine.emit(Notice(notice))
    settings = engine.settings
    mode = relay_mode(settings.environ.get(RELAY, ""), steps.relay)
    sealed = mode == "only"
    if offline and (not walls or request.network in ("none", "loopback")):
        mode = "off"
    if mode != "off" and (name := socks_proxy(settings.environ)):
        engine.emit(Notice(no_relay(name, seals=sealed and network != "none")))
        mode = "off"
    place = engine.footing.place()
    lodging = Lodging(engine.layers.owners, settings.epoch, bool(place.users.uids), place.single_id)
    restore = imported.restore if imported else None
    caches = CacheMounts(engine.layers, settings.epoch, restore, alone=not walls)
    furnisher = Furnisher(caches, lent.secrets, lent.agents, lodging)
    same = StepSettings(
        settings.environ,
        settings.epoch,
        shm_size=steps.shm_size or None,
        rlimits=steps.rlimits,
        keeps_failed=steps.debug is not None,
        resources=steps.resources,
        cgroup_parent=steps.cgroup_parent,
        tell=lambda message: engine.emit(Notice(message)),
        relay=None if mode == "off" else lambda bundle: _relay(engine, bundle),
        sealed=sealed,
        advice=lambda: advice(engine),
    )
    return StepRunner(engine.layers, place, connection, furnisher, same, _ground(engine))


def _ground(engine: Engine) -> PlainGround | None:
    if not engine.footing.plain:
        return None
    from tiffin.build.ops.plainground import PlainGround  # where there are no overlays
    from tiffin.engine.storeplace import check_programs

    check_programs(engine.home.root)
    if not engine.rung.has_walls:
        engine.emit(Notice(_NO_WALL.format(engine.rung.means)))
    return PlainGround(engine.layers, engine.rung)


def relay_mode(setting: str, asked: bool | None) -> str:
    """Return `on`, `off`, or `only`: then steps get nothing of the host's besides. Raises InvalidError."""
    if setting and setting not in _MODES:
        raise InvalidError(
            f"{RELAY} is {setting!r}", code="relay-mode", hint=f"set it to one of {', '.join(_MODES)}"
        )
    if asked is None:
        return setting or "on"
    return (setting if setting == "only" else "on") if asked else "off"


def no_relay(name: str, *, seals: bool) -> str:
    """Return what to tell where the variable `name` has a proxy that speaks SOCKS.

    Raises UnsupportedError if `seals`, the mode `only`: steps would have no way to packages at all.
    """
    reason = f"the relay, which cannot use the proxy that {name} names"
    if seals:
        raise UnsupportedError(
            f"{RELAY}=only lets steps have packages by nothing but {reason}",
            code="relay-proxy",
            hint="name a proxy that speaks HTTP, or give --no-relay: then steps borrow the variables",
        )
    return f"steps are not served by {reason}"


def _relay(engine: Engine, bundle: Path | None) -> Relay:
    """Return the relay of a build; loaded with the first step that has a network."""
    from tiffin.build.relay.relay import Relay

    def tell(message: str) -> None:
        engine.emit(Notice(message))

    most = limit_of(engine, LIMIT, _USUAL)
    return Relay(engine.home, engine.settings.environ, bundle, tell, most)
