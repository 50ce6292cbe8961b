"""What `volume create --opt` says, in the words of Docker's local driver → what a volume is (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tiffin.container.mounts import is_tmpfs_option
from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Device", "parse_options"]

_KEYS = ("type", "o", "device")
_BINDS = ("bind", "rbind")
_ATTRIBUTES = ("nosuid", "nodev", "noexec")
_PLAIN = ("rw", "suid", "dev", "exec")


class Device(NamedTuple):
    """What stands behind a volume: a folder, or memory for each container; `words` are those of mount(8)."""

    kind: Literal["bind", "tmpfs"]
    source: str
    words: tuple[str, ...]


def parse_options(options: Mapping[str, str]) -> Device | None:
    """Return what the volume is; None for one that is as all others are."""
    for key in options:
        if key not in _KEYS:
            raise InvalidError(
                f"--opt {key}: the driver local has no such option",
                code="invalid-volume-option",
                hint="its options are type, o and device",
            )
    if not options:
        return None
    for key in ("type", "device"):
        if not options.get(key):
            raise InvalidError(
                f"a volume with options needs --opt {key}=…",
                code="invalid-volume-option",
                hint="for example --opt type=none --opt o=bind --opt device=/srv/models",
            )
    kind, device = options["type"], options["device"]
    words = tuple(word for word in options.get("o", "").split(",") if word)
    if kind == "tmpfs":
        return Device("tmpfs", "", _all(words, is_tmpfs_option))
    if kind in ("none", "bind") and set(words) & set(_BINDS):
        if not device.startswith("/"):
            raise InvalidError(
                f"--opt device={device}: the path is not absolute", code="invalid-volume-option"
            )
        _all(words, lambda word: word in (*_BINDS, "ro", *_ATTRIBUTES, *_PLAIN))
        kept = ("rbind" if "rbind" in words else "bind", *(w for w in words if w in ("ro", *_ATTRIBUTES)))
        return Device("bind", device, kept)
    raise UnsupportedError(
        f"--opt type={kind}: a volume is a folder of this machine (type=none with o=bind) or memory (tmpfs); "
        "other file systems are not mounted for containers",
        code="volume-type",
        hint=f"mount {device} yourself, and name the folder: --opt type=none --opt o=bind --opt device=/…",
    )


def _all(words: tuple[str, ...], known: Callable[[str], bool]) -> tuple[str, ...]:
    for word in words:
        if not known(word):
            raise InvalidError(f"--opt o={word}: there is no such option", code="invalid-volume-option")
    return words
