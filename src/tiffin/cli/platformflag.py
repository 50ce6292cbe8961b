"""`--platform` of the commands that show or send one image of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.options import value

if TYPE_CHECKING:
    from tiffin.cli.options import Arguments
    from tiffin.oci.platform import Platform

PLATFORM = value("--platform", "PLATFORM", "Of several platforms take this one, like linux/arm64")


def platform_of(arguments: Arguments) -> Platform | None:
    """Return the platform that was named, if one was."""
    text = arguments.text("platform")
    if text is None:
        return None
    from tiffin.oci.platform import Platform

    return Platform.parse(text)
