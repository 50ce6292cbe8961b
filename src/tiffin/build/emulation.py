"""Which interpreter would run the programs of another platform, and whether a step can reach it. Pure."""

from __future__ import annotations

import struct
from posixpath import normpath
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.graph import Copy, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.build.graph import Graph, Vertex
    from tiffin.linux.binfmt import Handler
    from tiffin.oci.platform import Platform

# Architecture → word size, byte order, e_machine (elf(5)).
_ELF = {
    "386": (1, "<", 3),
    "amd64": (2, "<", 62),
    "arm": (1, "<", 40),
    "arm64": (2, "<", 183),
    "loong64": (2, "<", 258),
    "mips": (1, ">", 8),
    "mips64": (2, ">", 8),
    "mips64le": (2, "<", 8),
    "mipsle": (1, "<", 8),
    "ppc64": (2, ">", 21),
    "ppc64le": (2, "<", 21),
    "riscv64": (2, "<", 243),
    "s390x": (2, ">", 22),
}
_HEADER = 64


class Emulator(NamedTuple):
    """The interpreter of a platform's programs; `inside` if it must exist in the step's root filesystem."""

    interpreter: str
    inside: bool


def find_emulator(platform: Platform, handlers: Sequence[Handler]) -> Emulator | None:
    """Return the interpreter that the kernel would choose for the platform's programs."""
    header = _header(platform)
    fitting = [handler for handler in handlers if header and handler.takes(header)]
    best = next((handler for handler in fitting if handler.fixed), fitting[0] if fitting else None)
    return Emulator(best.interpreter, not best.fixed) if best else None


def _header(platform: Platform) -> bytes:
    """Return how a program of the platform begins; empty if that is not known."""
    if platform.os != "linux" or platform.architecture not in _ELF:
        return b""
    size, order, machine = _ELF[platform.architecture]
    ident = bytes((0x7F, *b"ELF", size, 1 if order == "<" else 2, 1, 0)).ljust(16, b"\0")
    return (ident + struct.pack(f"{order}HHI", 2, machine, 1)).ljust(_HEADER, b"\0")


def below(graph: Graph, vertex: Vertex) -> tuple[Source | None, list[Copy]]:
    """Return the image at the bottom of the step's root filesystem, and what was copied onto it since."""
    copies = []
    while vertex.inputs:
        vertex = graph.vertices[vertex.inputs[0]]
        if isinstance(vertex.op, Copy):
            copies.append(vertex.op)
    return (vertex.op if isinstance(vertex.op, Source) else None), copies


def may_bring(copy: Copy, path: str) -> bool:
    """Whether the copy may have put a file at `path`, going by its destination alone."""
    destination = normpath(copy.destination).rstrip("/")
    return path == destination or path.startswith(f"{destination}/")
