"""What paths below /proc and /dev mean where nothing is mounted there. Pure; runs under `python -IS`."""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

__all__ = ["Meaning", "inside", "meaning_of"]

_DEVICES = frozenset(("null", "zero", "full", "random", "urandom", "tty"))
_STREAMS = {"stdin": "0", "stdout": "1", "stderr": "2"}
_LINKED = frozenset((b"fd", *(name.encode() for name in _STREAMS)))
_OWN = ("self", "thread-self")
_OF_EACH = ("mounts", "net")
_LINKS = ("exe", "cwd", "root")


class Meaning(NamedTuple):
    """What is meant.

    `machine` and `device`: `rest` below /proc and /dev. `process`: `rest` below the directory of a process, 0
    for the caller, in /proc. `link`: one that the kernel follows by magic, of a process: its name is `link`,
    and `rest` comes after it.
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


def joined(place: bytes, path: bytes) -> bytes:
    """Return what a relative path means in a directory; of one of the machine without ways back from it."""
    if place.startswith((b"/proc", b"/dev/")):
        first, _, rest = path.lstrip(b"/").partition(b"/")
        while first in (b".", b"..", b"") and path:
            place = place.rpartition(b"/")[0] if first == b".." else place
            path = rest
            first, _, rest = path.lstrip(b"/").partition(b"/")
    return b"%s/%s" % (place, path)


def is_link_of_root(path: bytes) -> bool:
    """Tell whether the root itself has a link there, for who asks for that: the names of streams in /dev."""
    return path.startswith(b"/dev/") and path[5:] in _LINKED


def meaning_of(path: bytes) -> Meaning | None:
    """Return what the absolute path means, None if the files of the root are meant."""
    if not path.lstrip(b"/").startswith((b"proc", b"dev")):
        return None
    try:
        words = [part for part in path.decode("ascii").split("/") if part not in ("", ".")]
    except UnicodeDecodeError:
        return None
    if ".." in words:
        words = _folded(words)
    if words[:1] == ["dev"]:
        return _device(words[1:])
    if words[:1] != ["proc"]:
        return None
    match words[1:]:
        case [first, *rest] if first in _OWN:
            return _of_process(0, rest)
        case [first, *rest] if first.isdigit():
            return _of_process(int(first), rest)
        case [first, *rest] if first in _OF_EACH:
            return _of_process(0, [first, *rest])
        case rest:
            return Meaning("machine", rest="/".join(rest).encode())


def _folded(words: list[str]) -> list[str]:
    """Return the words without the ways back; nothing if one leads back from a link."""
    kept: list[str] = []
    for word in words:
        if word != "..":
            kept.append(word)
        elif kept and (kept.pop() in _LINKS or kept[-1:] == ["fd"]):
            return []
    return kept


def _device(words: list[str]) -> Meaning | None:
    match words:
        case [name] if name in _DEVICES:
            return Meaning("device", rest=name.encode())
        case [name] if name in _STREAMS:
            return Meaning("link", link=b"fd/" + _STREAMS[name].encode())
        case ["fd", *rest]:
            return _of_process(0, ["fd", *rest])
        case ["ptmx"] | ["pts"] | ["pts", _]:
            return Meaning("device", rest="/".join(words).encode())
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
