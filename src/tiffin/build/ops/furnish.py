"""What `RUN --mount` puts into the container of a step: mounts, files in memory, variables.

A read-only mount shows entries where they lie, if they look there as they
should; anything else is a copy in the step's workspace, which goes with it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build import graph
from tiffin.build.ops.materialise import materialise
from tiffin.errors import FailedError, InvalidError, NotFoundError
from tiffin.linux.mount import filesystem_magic
from tiffin.oci.runtimespec import Mount
from tiffin.runtime.model import Inlay, LayersMount, MemoryFile

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tiffin.build.agents import Agent
    from tiffin.build.ops.cachemounts import CacheMounts
    from tiffin.build.reading import Shown
    from tiffin.build.selection import Selected
    from tiffin.layer.owners import Owners

_AGENT = "SSH_AUTH_SOCK"
# File systems whose owners can be shifted in a mount: ext4, xfs, btrfs, f2fs.
_SHIFTABLE = (0xEF53, 0x58465342, 0x9123683E, 0xF2F52010)


class Lodging(NamedTuple):
    """Where steps run, as far as their mounts depend on it.

    `shifts`: the container's ids are others than ours, so owners in mounts are
    shifted. `single_id`: there is one id, and all files belong to it.
    """

    owners: Owners
    epoch: int
    shifts: bool
    single_id: bool


class Furniture:
    """What one step gets. `watched` are entries of contexts that are shown where they lie."""

    def __init__(self) -> None:
        self.mounts: list[Mount] = []
        self.inlays: list[Inlay] = []
        self.env: list[str] = []
        self.watched: list[Selected] = []

    def check(self) -> None:
        """Raise FailedError if a file was changed while it was shown: it is not what was hashed."""
        for selected in self.watched:
            for node in (selected.node, *selected.below):
                then, now = node.status, os.lstat(node.host)
                same = (then.st_ino, then.st_size, then.st_mtime_ns) == (
                    now.st_ino,
                    now.st_size,
                    now.st_mtime_ns,
                )
                if not same:
                    raise FailedError(
                        f"{node.path} of the build context was changed while the step ran",
                        code="source-changed",
                        hint="build again when nothing writes to it, or leave it out with .dockerignore",
                    )


class Furnisher:
    """Makes the furniture of steps from `caches`, `secrets` and `agents`."""

    def __init__(
        self,
        caches: CacheMounts,
        secrets: Mapping[str, bytes],
        agents: Mapping[str, Agent],
        lodging: Lodging,
    ) -> None:
        self._caches = caches
        self._secrets = secrets
        self._agents = agents
        self._lodging = lodging

    @contextmanager
    def furnish(
        self, op: graph.Run, shown: Sequence[Shown | None], work: Path, stop: threading.Event
    ) -> Iterator[Furniture]:
        """Yield what `op` asks for; `shown` is what each of its mounts shows, `work` the step's workspace."""
        made = Furniture()
        caches: list[tuple[graph.CacheMount, Shown | None]] = []
        agents: list[tuple[graph.SshMount, Path]] = []
        for number, (mount, each) in enumerate(zip(op.mounts, shown, strict=True)):
            match mount:
                case graph.BindMount():
                    assert each is not None  # a bind mount reads an input
                    self._bind(made, mount, each, work / f"mount-{number}", work / "empty")
                case graph.CacheMount():
                    caches.append((mount, each))
                case graph.TmpfsMount():
                    size = () if mount.size is None else (f"size={mount.size}",)
                    made.mounts.append(Mount(mount.target, "tmpfs", "tmpfs", ("nosuid", "nodev", *size)))
                case graph.SecretMount():
                    self._secret(made, mount)
                case graph.SshMount():
                    agents.append((mount, work / f"agent-{number}"))
        with ExitStack() as held:
            places = held.enter_context(self._caches.use(caches, stop))
            for (mount, _), place in zip(caches, places, strict=True):
                made.mounts.append(_mount(mount.target, place, readonly=mount.read_only))
            for wanted, place in agents:
                self._agent(made, wanted, place, held)
            yield made

    def _bind(self, made: Furniture, mount: graph.BindMount, shown: Shown, place: Path, empty: Path) -> None:
        if shown.context is None:
            self._bind_layers(made, mount, shown, place, empty)
        elif not mount.writable and self._looks_right(shown):
            selected = shown.selected()
            made.watched.append(selected)
            made.mounts.append(_mount(mount.target, selected.node.host, readonly=True))
        else:
            copy = materialise(shown, place, self._lodging.owners, self._lodging.epoch)
            made.mounts.append(_mount(mount.target, copy, readonly=not mount.writable))

    def _bind_layers(
        self, made: Furniture, mount: graph.BindMount, shown: Shown, place: Path, empty: Path
    ) -> None:
        node = shown.node()
        if not node.is_directory:
            file = (
                materialise(shown, place, self._lodging.owners, self._lodging.epoch)
                if mount.writable
                else node.host
            )
            made.mounts.append(_mount(mount.target, file, readonly=not mount.writable))
            return
        if mount.writable:
            for name in ("upper", "work"):
                (place / name).mkdir(parents=True)
            owners = self._lodging.owners
            owners.change(str(place / "upper"), *owners.read(node.host, node.status))
            owners.set_mode(str(place / "upper"), owners.mode(node.host, node.status))
        # An overlay of layers alone has two at least.
        lowers = (*node.places, str(empty))
        made.inlays.append(LayersMount(mount.target, lowers, str(place) if mount.writable else None))

    def _looks_right(self, shown: Shown) -> bool:
        """Whether entries of a context can be shown where they lie: all are root's, and none is hidden."""
        assert shown.context is not None
        selected = shown.selected()
        nodes = (selected.node, *selected.below)
        device = selected.node.status.st_dev
        if any(node.status.st_uid != 0 or node.status.st_dev != device for node in nodes):
            return False
        if self._lodging.shifts and filesystem_magic(selected.node.host) not in _SHIFTABLE:
            return False
        return not shown.context.hides_below(selected.node)

    def _secret(self, made: Furniture, mount: graph.SecretMount) -> None:
        value = self._secrets.get(mount.id)
        if value is None:
            if mount.required:
                raise NotFoundError(
                    f"the step requires the secret {mount.id}, and it was not given",
                    code="secret-missing",
                    hint=f"give it with --secret id={mount.id},src=FILE, or env=VARIABLE",
                )
            if mount.env is not None:
                made.env.append(f"{mount.env}=")  # set and empty, as in Docker
            return
        if mount.target is not None:
            owner = (0, 0) if self._lodging.single_id else (mount.uid, mount.gid)
            made.inlays.append(MemoryFile(mount.target, value, mount.mode, *owner))
        if mount.env is not None:
            if b"\0" in value:
                raise InvalidError(
                    f"the secret {mount.id} holds a zero byte, which no variable can",
                    code="secret-not-text",
                    hint="mount it as a file: leave env= out",
                )
            made.env.append(f"{mount.env}={value.decode('utf-8', 'surrogateescape')}")

    def _agent(self, made: Furniture, mount: graph.SshMount, place: Path, held: ExitStack) -> None:
        agent = self._agents.get(mount.id)
        if agent is None:
            if mount.required:
                raise NotFoundError(
                    f"the step requires the SSH agent {mount.id}, and it was not given",
                    code="agent-missing",
                    hint=f"give it with --ssh {mount.id}, or --ssh {mount.id}=SOCKET or KEY",
                )
            return
        from tiffin.build.ops.agentproxy import forwarded  # few steps have one

        socket = held.enter_context(forwarded(agent, place))
        if not self._lodging.single_id:
            self._lodging.owners.change(str(socket), mount.uid, mount.gid)
        socket.chmod(mount.mode)
        made.mounts.append(_mount(mount.target, socket, readonly=True))
        if not any(entry.startswith(f"{_AGENT}=") for entry in made.env):
            made.env.append(f"{_AGENT}={mount.target}")


def _mount(target: str, source: Path | str, *, readonly: bool) -> Mount:
    """A mount of what lies at `source`, with the owners that it has on disk."""
    return Mount(
        target, "bind", str(source), ("rbind", "rprivate", "idmap", "nodev", *(["rro"] if readonly else []))
    )
