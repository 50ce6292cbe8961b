"""The keys by which a user leaves a container that goes on: their syntax is Docker's, `ctrl-p,ctrl-q`.

Pure; standard library only.
"""

from __future__ import annotations

from tiffin.errors import InvalidError

__all__ = ["DEFAULT", "DetachKeys", "parse_keys"]

DEFAULT = b"\x10\x11"
"""Ctrl-P, Ctrl-Q."""

_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_DELETE = 127


def parse_keys(text: str) -> bytes:
    """Return the bytes that a terminal sends for these keys; empty for Docker's own.

    Raises InvalidError for what is no key.
    """
    return bytes(_code(key, text) for key in text.split(",")) if text else DEFAULT


def _code(key: str, text: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if key == "DEL":
        return _DELETE
    letter = key.removeprefix("ctrl-")
    if letter != key and len(letter) == 1 and letter in _CONTROL:
        return _CONTROL.index(letter)
    raise InvalidError(
        f"invalid detach keys ({text}): {key!r} is no key",
        code="detach-keys",
        hint="name keys like 'ctrl-p,ctrl-q': ctrl- with a letter or one of @[\\]^_, or a character",
    )


class DetachKeys:
    """Finds the keys, if there are any, in what is typed; what may be their beginning waits for more."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0
        self.found = False
        """Whether they were typed; nothing passes after that."""

    def feed(self, data: bytes) -> bytes:
        """Return what of it is meant for the container."""
        if not self._keys:
            return data
        passed = bytearray()
        for byte in data:
            if self.found:
                break
            self._take(byte, passed)
        return bytes(passed)

    def _take(self, byte: int, passed: bytearray) -> None:
        waiting = self._keys[: self._held] + bytes([byte])
        while not self._keys.startswith(waiting):
            passed += waiting[:1]  # it begins no keys: perhaps what follows it does
            waiting = waiting[1:]
        self._held = len(waiting)
        self.found = waiting == self._keys
