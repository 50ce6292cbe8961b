"""What a Dockerfile may say and this release does not do: refused before anything runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.dockerfile import ast
from tiffin.errors import UnsupportedError

if TYPE_CHECKING:
    from tiffin.errors import Where


def refuse(instruction: ast.Instruction) -> None:
    """Raise UnsupportedError at `instruction` if it asks for what cannot be done yet."""
    match instruction:
        case ast.Run():
            _run(instruction)
        case _:
            pass


def _run(instruction: ast.Run) -> None:
    for device in instruction.devices:
        raise _not_yet(
            f"RUN --device={device.name}", instruction.span.where, "use the device when the image runs"
        )


def _not_yet(what: str, where: Where, hint: str) -> UnsupportedError:
    return UnsupportedError(f"{what} cannot be done yet", code="not-yet", hint=hint, where=where)
