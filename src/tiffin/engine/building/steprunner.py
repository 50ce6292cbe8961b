"""What runs the RUN steps of a build, put together when the first of them is not remembered.

Nothing of it is loaded for a build in which nothing changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.ops.cachemounts import CacheMounts
from tiffin.build.ops.connection import Connection
from tiffin.build.ops.furnish import Furnisher, Lodging
from tiffin.build.ops.run import StepRunner, StepSettings
from tiffin.events import Notice
from tiffin.linux.isolation import Rung
from tiffin.network.leases import state_directory
from tiffin.offline import is_offline

if TYPE_CHECKING:
    from tiffin.build.imported import ImportedCaches
    from tiffin.build.ops.plainground import PlainGround
    from tiffin.engine.building.inputs import Lent
    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine

_AUTOMATIC = ("", "default", "bridge", "private")
_NO_WALL = (
    "steps are isolated by chroot alone, because nothing can be mounted here: they see the processes and "
    "the network of the surrounding container; `tiffin doctor` says what would change that"
)


def make_runner(
    engine: Engine, request: BuildRequest, lent: Lent, imported: ImportedCaches | None
) -> StepRunner:
    """Return what runs the RUN steps of `request`; new cache mounts are filled from what is `imported`."""
    steps = request.steps
    state = state_directory(engine.home.run)
    plain, offline = engine.rung is Rung.CHROOT, is_offline(engine.settings.environ)
    network = request.network if not plain or request.network not in _AUTOMATIC else "host"
    network = "none" if offline else network
    connection = Connection(network, state, root=engine.rung is Rung.ROOT, extra=steps.hosts, offline=offline)
    for notice in (*engine.footing.notices, *connection.notices):
        engine.emit(Notice(notice))
    settings = engine.settings
    place = engine.footing.place()
    lodging = Lodging(engine.layers.owners, settings.epoch, bool(place.users.uids), place.single_id)
    restore = imported.restore if imported else None
    caches = CacheMounts(engine.layers, settings.epoch, restore, alone=plain)
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
    )
    return StepRunner(engine.layers, place, connection, furnisher, same, _ground(engine) if plain else None)


def _ground(engine: Engine) -> PlainGround:
    from tiffin.build.ops.plainground import PlainGround  # of one rung only

    engine.emit(Notice(_NO_WALL))
    return PlainGround(engine.layers)
