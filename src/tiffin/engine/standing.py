"""Where a container lies on disk, how its directory begins, what lies in it, and what it is called."""

from __future__ import annotations

import os

from tiffin.container import names
from tiffin.container.loop import write_all
from tiffin.linux.isolation import Rung
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.container.record import Record, Records
    from tiffin.container.volumes import Volumes
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest
    from tiffin.oci.runtimespec import RuntimeSpec
    from tiffin.snapshot.merged import MergedTree

__all__ = [
    "CONFIG",
    "EMPTY",
    "FILES",
    "LOCK",
    "ROOT",
    "UPPER",
    "WORK",
    "Made",
    "Top",
    "about",
    "control_of",
    "directory_of",
    "furnish",
    "hold",
    "lock_of",
    "name_of",
    "say",
    "settle",
    "spec_of",
    "tell",
    "tree_of",
    "volumes_of",
]

UPPER, WORK, EMPTY = "upper", "work", "empty"
ROOT = "root"
"""The plain root, on the rung chroot."""
CONFIG = "config.json"
LOCK = "container-"
FILES = ("hosts", "hostname", "resolv.conf")


class Top(NamedTuple):
    """Owner and mode of the root directory of a container."""

    uid: int
    gid: int
    mode: int


class Made(NamedTuple):
    """A container that is ready to start, and its packed plan if that is known already.

    One that was made only now is `held`: the descriptor of its lock, which the start gives back, or whoever
    does not start it. Until then nobody takes it for one that was left behind.
    """

    record: Record
    plan: bytes = b""
    held: int = -1


def directory_of(engine: Engine, record: Record) -> Path:
    """The container's own directory."""
    return engine.home.containers / record.id


def control_of(engine: Engine, record: Record) -> Path:
    """The directory of its control socket."""
    return engine.home.run / "containers" / record.short


def lock_of(engine: Engine, record: Record) -> Path:
    """The file that is locked while the container begins, or must not."""
    return engine.home.locks / f"{LOCK}{record.short}"


def hold(engine: Engine, record: Record) -> int:
    """Take the lock of a container that nobody knows yet, as `Made.held`."""
    from tiffin.linux.files import lock

    return lock(lock_of(engine, record)).__enter__()


def spec_of(engine: Engine, record: Record) -> RuntimeSpec:
    """The runtime spec that the container was made with."""
    from tiffin.oci.codec import decode  # one that has just been made has it at hand
    from tiffin.oci.runtimespec import RuntimeSpec

    data = (directory_of(engine, record) / CONFIG).read_bytes()
    return decode(data, RuntimeSpec, f"the spec of {record.name}")


def tree_of(engine: Engine, record: Record, *, live: bool = True) -> MergedTree:
    """The container's files as it sees them: what it has written, over its image's.

    Where it has a plain root that is it, if `live`, with what stands in for mounts.
    """
    from tiffin.oci.digest import DiffID  # the kernel puts them together for one that runs
    from tiffin.snapshot.merged import MergedTree

    if live and engine.footing.plain and (root := directory_of(engine, record) / ROOT).exists():
        return MergedTree([root])
    lowers = [engine.layers.path(DiffID(layer)) for layer in reversed(record.layers)]
    return MergedTree([directory_of(engine, record) / UPPER, *lowers])


def settle(engine: Engine, record: Record) -> None:
    """See to it that its `upper` says what it has written: in a plain root that is in no place of its own."""
    if engine.rung in (Rung.SINGLE_ID, Rung.TRACED):
        from tiffin.engine.recorded import settle_owners  # of two rungs only

        settle_owners(engine, record)
    if engine.footing.plain:
        from tiffin.engine.plainroot import refresh  # where there are no overlays

        refresh(engine, record)


def volumes_of(engine: Engine) -> Volumes:
    """The volumes of the engine's store."""
    from tiffin.container.volumes import Volumes  # most containers have none

    return Volumes(engine.home.root / "volumes", engine.layers.owners)


def furnish(engine: Engine, directory: Path, top: Top, config: bytes, *, stays: bool) -> None:
    """Make a container's directory: its writable layer, its files, its runtime spec.

    That of one which `stays` is on the disk then: a power cut must not leave a record of it without the rest.
    """
    os.mkdir(directory, 0o700)  # noqa: PTH102 - a dozen of these, each time: Path would double what they cost
    for name in (UPPER, WORK, EMPTY):
        os.mkdir(f"{directory}/{name}")  # noqa: PTH102 - the same
    upper = f"{directory}/{UPPER}"
    if top[:2] != (0, 0):
        engine.layers.owners.change(upper, top.uid, top.gid)
    if engine.rung is Rung.TRACED:
        engine.owners.set_mode(upper, top.mode)  # of one rung only: the others need not load it
    else:
        os.chmod(upper, top.mode)  # noqa: PTH101 - the same
    for name, content in (*((name, b"") for name in FILES), (CONFIG, config)):
        fd = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        try:
            os.fchmod(fd, 0o644)  # whatever our umask: users in the container read them
            write_all(fd, content)
            if stays and content:
                os.fsync(fd)
        finally:
            os.close(fd)
    if stays:
        from tiffin.linux.files import sync_directory

        sync_directory(directory)
        sync_directory(directory.parent)


def about(record: Record) -> tuple[tuple[str, str], ...]:
    """What events tell of a container: its labels, image and name."""
    return (*record.labels.items(), ("image", record.image), ("name", record.name))


def tell(engine: Engine, record: Record, action: str, **more: str) -> None:
    """Write into the journal what happened to a container."""
    engine.happened("container", action, record.id, **{**dict(about(record)), **more})


def say(engine: Engine, text: str) -> None:
    """Tell the user."""
    from tiffin.events import Notice  # mostly there is nothing to say

    engine.emit(Notice(text))


def name_of(records: Records, request: RunRequest) -> str:
    """The name that was asked for, or a free one."""
    if request.name:
        return names.check_name(request.name)
    return names.random_name(_any, lambda name: records.find(name) is not None)


def _any(words: Sequence[str]) -> str:
    return words[int.from_bytes(os.urandom(4), "little") % len(words)]
