"""What paths below /proc and /dev mean where nothing is mounted there. Pure; runs under `python -IS`."""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

__all__ = ["Meaning", "inside", "meaning_of"]

_DEVICES = frozenset(("null", "zero", "full", "random", "urandom"))
_STREAMS = {"stdin": "0", "stdout": "1", "stderr": "2"}
_OWN = ("self", "thread-self")
_OF_EACH = ("mounts", "net")
_LINKS = ("exe", "cwd", "root")


class Meaning(NamedTuple):
    """What is meant.

    `host`: the path is the same outside. `tty`: the terminal of the caller. `process`: `rest` below the
    directory of a process, 0 for the caller, in /proc. `link`: one that the kernel follows by magic, of a
    process: its name is `link`, and `rest` comes after it.
    """

    kind: str
    process: int = 0
    link: bytes = b""
    rest: bytes = b""


def inside(host: bytes, root: bytes) -> bytes:
    """Return a path or the text of a link, as it is within the root."""
    if host.startswith(root) and host[len(root) : len(root) + 1] in (b"/", b""):
        return host[len(root) :] or b"/"
    return host


def meaning_of(path: bytes) -> Meaning | None:
    """Return what the absolute path means, None if the files of the root are meant."""
    if not path.lstrip(b"/").startswith((b"proc", b"dev")):
        return None
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        return None
    try:
        words = [part.decode("ascii") for part in parts]
    except UnicodeDecodeError:
        return None
    if words[0] == "dev":
        return _device(words[1:])
    if words[0] != "proc":
        return None
    match words[1:]:
        case [first, *rest] if first in _OWN:
            return _of_process(0, rest)
        case [first, *rest] if first.isdigit():
            return _of_process(int(first), rest)
        case [first, *rest] if first in _OF_EACH:
            return _of_process(0, [first, *rest])
        case _:
            return Meaning("host")


def _device(words: list[str]) -> Meaning | None:
    match words:
        case [name] if name in _DEVICES:
            return Meaning("host")
        case ["tty"]:
            return Meaning("tty")
        case [name] if name in _STREAMS:
            return Meaning("link", link=b"fd/" + _STREAMS[name].encode())
        case ["fd", *rest]:
            return _of_process(0, ["fd", *rest])
        case ["ptmx"] | ["pts"] | ["pts", _]:
            return Meaning("host")
        case _:
            return None


def _of_process(process: int, words: list[str]) -> Meaning:
    if len(words) > 1 and words[0] == "task" and words[1].isdigit():
        process, words = int(words[1]), words[2:]
    match words:
        case [name, *rest] if name in _LINKS:
            link = name
        case ["fd", number, *rest] if number.isdigit():
            link = f"fd/{number}"
        case _:
            return Meaning("process", process, rest="/".join(words).encode())
    return Meaning("link", process, link.encode(), "/".join(rest).encode())
