"""What counts of an image, as values for JSON: files, config and history, without what a time or an id is."""

import hashlib
import stat
from functools import cache
from typing import NamedTuple, Self

from tests.conformance import base
from tests.live import trees

_TEXT = 400  # bytes that are kept as they are: so the golden data can be read
_NOISE = ("Hostname", "Domainname", "Image", "AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin",
          "StdinOnce", "Tty")  # fmt: skip


class Base(NamedTuple):
    """What is known of the image that cases begin from: layers, length of its history, and its tree."""

    layers: list[str]
    steps: int
    tree: dict[str, trees.Inode]

    @classmethod
    def of(cls, document, tars) -> Self:
        return cls(document["rootfs"]["diff_ids"], len(document["history"]), trees.squash(tars))


def of_built(document, tars, bottom):
    """The facts of an image, beyond those of `bottom` if it stands on that.

    `tars` gives an iterator of the tars of its layers, without as many as it is told.
    """
    known = len(bottom.layers)
    if (document["rootfs"]["diff_ids"] or [])[:known] != bottom.layers:
        return {**_of_image(document, tars(0)), "from": "scratch"}
    document["history"] = document["history"][bottom.steps :]
    return {**_of_image(document, tars(known), bottom.tree), "from": base.NAME}


def _of_image(document, layers, below=None):
    """The facts of an image with this config and the tars of its `layers`, an iterator.

    `below` is the squashed tree of the base: its layers are left out of `layers` then,
    and so is what is as it was from the facts.
    """
    files = dict(below or {})
    for entry in document["history"]:
        if not entry.get("empty_layer"):
            before, files = files, trees.squash([next(layers)], files)
            entry["empty_layer"] = not _changed(before, files)
    assert not list(layers), "there are layers that the history does not tell of"
    found = {
        "tree": _tree(files, below or {}),
        "config": {k: v for k, v in document["config"].items() if v and k not in _NOISE},
        "history": [_step(entry) for entry in document["history"]],
    }
    if gone := sorted(path for path in below or {} if path not in files):
        found["gone"] = gone
    if author := document.get("author"):
        found["author"] = author
    return found


def _tree(files, below):
    names = {}
    for path, inode in files.items():
        names.setdefault(id(inode), []).append(path)
    told = {}
    for path, inode in sorted(files.items()):
        if below.get(path) is not inode:
            same = sorted(name for name in names[id(inode)] if name != path)
            told[path] = _entry(inode, same)
    # An entry that is there once more says nothing, if it says the same.
    return {
        path: entry for path, entry in told.items() if path not in below or entry != _entry(below[path], [])
    }


def _entry(inode, same):
    info = inode.info
    kind = trees.KINDS[info.type]
    parts = [kind, "" if info.issym() else f"{stat.S_IMODE(info.mode):o}", f"{info.uid}:{info.gid}"]
    match kind:
        case "file":
            parts.append(_content(inode.data))
        case "link":
            parts.append(f"-> {info.linkname}")
        case "character" | "block":
            parts.append(f"{info.devmajor}:{info.devminor}")
    text = " ".join(part for part in parts if part)
    xattrs = {
        k.partition("xattr.")[2]: v for k, v in info.pax_headers.items() if k.startswith("SCHILY.xattr.")
    }
    more = {"same": same} if same else {}
    if xattrs:
        more["xattrs"] = {name: ascii(value) for name, value in sorted(xattrs.items())}
    return {"is": text, **more} if more else text


def _content(data):
    if data == _busybox():
        return "busybox"
    if len(data) <= _TEXT:
        try:
            return repr(data.decode())
        except UnicodeDecodeError:
            pass
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def _changed(before, after):
    """Whether a layer shows: one that says of a file what is so already does not."""
    return before.keys() != after.keys() or any(
        before[path] is not inode and _entry(before[path], []) != _entry(inode, [])
        for path, inode in after.items()
    )


@cache
def _busybox():
    return base.BUSYBOX.read_bytes()  # it is another one wherever the tests run


def _step(entry):
    """A line of the history: `+` in front of what made a layer that shows."""
    text = entry.get("created_by", "").removesuffix(" # buildkit")
    return f"{'-' if entry.get('empty_layer') else '+'} {text}"


def compare(ours, theirs):
    """Yield what differs, one line for each fact."""
    for part in ("tree", "config"):
        mine, other = ours.get(part, {}), theirs.get(part, {})
        for key in sorted(mine.keys() | other.keys()):
            if mine.get(key) != other.get(key):
                yield f"{part} {key!a}: {_shown(mine.get(key))}; docker: {_shown(other.get(key))}"
    for part in ("history", "gone", "author", "from", "fails"):
        if ours.get(part) != theirs.get(part):
            yield f"{part}: {_shown(ours.get(part))}; docker: {_shown(theirs.get(part))}"


def _shown(value):
    return "nothing" if value is None else ascii(value)
