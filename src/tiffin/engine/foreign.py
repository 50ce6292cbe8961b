"""Programs of other platforms: whether this machine runs them, and what is missing if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.graph import Run
from tiffin.errors import UnsupportedError
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.build.graph import Graph, Vertex
    from tiffin.engine.engine import Engine

_KNOWN = (
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
    "linux/386",
    "linux/riscv64",
    "linux/ppc64le",
    "linux/s390x",
    "linux/loong64",
)
_INSTALL = "install one, on Debian and Ubuntu by: apt-get install qemu-user-static binfmt-support"
_AVOID = (
    "or begin the stage FROM --platform=$BUILDPLATFORM, if what it makes does not depend on where it runs"
)


def check_steps(engine: Engine, graph: Graph) -> None:
    """Raise UnsupportedError at the first RUN whose programs cannot be run here. Nothing has run yet."""
    for vertex in graph.vertices:
        op = vertex.op
        if not isinstance(op, Run) or op.platform is None or _is_own(engine.platform, op.platform):
            continue
        reason = obstacle(engine, op.platform, _within(engine, graph, vertex))
        if reason is not None:
            raise UnsupportedError(
                f"{vertex.name} is for {op.platform}, and this machine, {engine.platform}, {reason[0]}",
                code="no-emulator",
                hint=f"{reason[1]}; {_AVOID}",
                where=vertex.where,
            )


def obstacle(engine: Engine, platform: Platform, within: Callable[[str], bool]) -> tuple[str, str] | None:
    """Return why programs of `platform` cannot be run here, and what to do; None if they can.

    `within` tells whether a file exists, or may exist, in the root filesystem that they are run in.
    """
    own = engine.platform
    if _is_own(own, platform):
        return None
    from tiffin.build.emulation import find_emulator
    from tiffin.linux.binfmt import read_handlers, runs_natively

    if own.rank(platform) is not None and runs_natively(platform.architecture):
        return None
    handlers = read_handlers()
    if handlers is None:
        mount = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
        return (
            "shows not whether it has an emulator for it: binfmt_misc is not mounted",
            f"mount it as root ({mount}), and if there is none for {platform.architecture}, {_INSTALL}",
        )
    emulator = find_emulator(platform, handlers)
    if emulator is None:
        return "has no emulator for it", _INSTALL
    if emulator.inside and not within(emulator.interpreter):
        return (
            f"would run it by {emulator.interpreter}, which is not in the image",
            "register the emulator with the flag F (fix-binary), as newer packages of qemu-user-static do",
        )
    return None


def runnable_platforms(engine: Engine) -> list[Platform]:
    """Return the platforms whose programs run here, natively or by an emulator; this machine's first."""
    known = dict.fromkeys([engine.platform, *(Platform.parse(text) for text in _KNOWN)])
    return [platform for platform in known if obstacle(engine, platform, lambda _path: True) is None]


def _is_own(own: Platform, platform: Platform) -> bool:
    """Whether the programs are of this machine's architecture, whatever the variant."""
    return (platform.os, platform.architecture) == (own.os, own.architecture)


def _within(engine: Engine, graph: Graph, vertex: Vertex) -> Callable[[str], bool]:
    def ask(path: str) -> bool:
        from tiffin.build.emulation import below, may_bring

        source, copies = below(graph, vertex)
        if any(may_bring(copy, path) for copy in copies):
            return True
        return source is not None and engine.layers.tree(source.diff_ids).resolve(path).node is not None

    return ask
