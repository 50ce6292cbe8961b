"""What `-v` and `--tmpfs` say: Docker's forms of a mount → values (pure).

A name is a volume, a path that begins with / or . is a folder of the host, and nothing at all is a
volume without a name.
"""

from __future__ import annotations

import os
import re
from typing import Literal

from tiffin.errors import InvalidError
from tiffin.linux.record import NamedTuple

__all__ = [
    "NAME",
    "PROPAGATION",
    "TmpfsMount",
    "VolumeMount",
    "check_target",
    "is_tmpfs_option",
    "parse_tmpfs",
    "parse_volume",
]

NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
PROPAGATION = ("rprivate", "private", "rslave", "slave", "rshared", "shared")
# Words of `-v`, of each row at most one. Those of the last have no effect where folders are local.
_GROUPS = (
    ("ro", "rw", "readonly", "rro"),
    PROPAGATION,
    ("z", "Z"),
    ("nocopy",),
    ("U",),
    ("cached", "delegated", "consistent"),
)
_TMPFS = ("nosuid", "nodev")
_TMPFS_OPTIONS = r"(size|nr_inodes|nr_blocks|mode|uid|gid)=[0-9]+[kKmMgG%]?|rw|ro|(no)?(exec|suid|dev|atime)"
_FORMS = "the forms are /host:/container, name:/container and /container, each with :ro or not"


class VolumeMount(NamedTuple):
    """A mount that was asked for.

    `source` is a path of the host, a volume's name, empty for a new one, or the name of an image.
    """

    kind: Literal["bind", "volume", "image"]
    source: str
    target: str
    read_only: bool = False
    copy: bool = True
    """Fill an empty volume with what the image has there."""
    subpath: str = ""
    """What is shown of a volume or an image, below its root."""
    propagation: str = ""
    """One of `PROPAGATION`; empty for rprivate."""
    recursion: str = ""
    """`disabled`: without what is mounted below the source; `writable`: that stays writable in a read-only
    mount; `readonly`: that is read-only for certain."""
    owned: bool = False
    """Give it to the container's user."""
    relabel: bool = False
    """The labels of SELinux were to be changed."""
    mode: str = ""
    """The words of `-v`, as given."""
    labels: tuple[tuple[str, str], ...] = ()
    """Of the volume, if it is made now, as its `options`."""
    options: tuple[tuple[str, str], ...] = ()


class TmpfsMount(NamedTuple):
    """A file system in memory that was asked for."""

    target: str
    options: tuple[str, ...] = ()


def parse_volume(text: str, directory: str) -> VolumeMount:
    """Return what `-v` asks for; paths that begin with a dot are relative to `directory`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidError(f"-v {text}: this is no mount", hint=_FORMS)
    if len(parts) == 1:
        return VolumeMount("volume", "", check_target(f"-v {text}", parts[0]))
    source, target = parts[0], check_target(f"-v {text}", parts[1])
    words = _words(text, parts[2] if len(parts) == 3 else "")
    propagation = next((word for word in PROPAGATION if word in words), "")
    mount = VolumeMount(
        "volume",
        source,
        target,
        read_only=bool(words & {"ro", "readonly", "rro"}),
        recursion="readonly" if "rro" in words else "",
        owned="U" in words,
        relabel=bool(words & {"z", "Z"}),
        mode=parts[2] if len(parts) == 3 else "",
    )
    if source.startswith(("/", ".")):
        path = os.path.normpath(source if source.startswith("/") else f"{directory}/{source}")
        if "nocopy" in words:
            raise InvalidError(f"-v {text}: nocopy is for volumes, which are filled from the image")
        return mount._replace(kind="bind", source=path.replace("//", "/"), propagation=propagation)
    if not re.fullmatch(NAME, source):
        raise InvalidError(
            f"-v {text}: {source!r} is neither an absolute path nor the name of a volume",
            code="invalid-mount",
            hint=f"for a folder write its whole path, or begin it with ./ as in -v ./{source}:{target}",
        )
    if propagation not in ("", "private", "rprivate"):
        raise InvalidError(
            f"-v {text}: {propagation} is for folders of this machine: in a volume nothing is mounted later",
            code="invalid-mount",
        )
    return mount._replace(copy="nocopy" not in words)


def is_tmpfs_option(word: str) -> bool:
    """Whether a file system in memory knows the word."""
    return re.fullmatch(_TMPFS_OPTIONS, word) is not None


def parse_tmpfs(text: str) -> TmpfsMount:
    """Return what one `--tmpfs PATH[:OPTIONS]` asks for."""
    path, _, words = text.partition(":")
    given = tuple(word for word in words.split(",") if word)
    for word in given:
        if not is_tmpfs_option(word):
            raise InvalidError(
                f"--tmpfs {text}: unknown option {word!r}", hint="for example --tmpfs /tmp:size=64m,mode=1777"
            )
    defaults = tuple(word for word in (*_TMPFS, "noexec") if word.removeprefix("no") not in given)
    target = check_target(f"--tmpfs {text}", path)
    return TmpfsMount(target, (*defaults, *(word for word in given if word not in ("suid", "dev", "exec"))))


def check_target(what: str, path: str) -> str:
    """Return the path in the container as it is kept; `what` begins the error if it is none."""
    if not path.startswith("/"):
        raise InvalidError(f"{what}: the path {path!r} in the container is not absolute", hint=_FORMS)
    target = os.path.normpath(path).replace("//", "/")
    if target == "/":
        raise InvalidError(f"{what}: the root of the container cannot be mounted over", hint=_FORMS)
    if target == "/proc":
        raise InvalidError(
            f"{what}: /proc of the container cannot be mounted over",
            code="invalid-mount",
            hint="mount it elsewhere, as in /proc:/host/proc:ro",
        )
    return target


def _words(text: str, words: str) -> set[str]:
    given = words.split(",") if words else []
    for word in given:
        group = next((each for each in _GROUPS if word in each), None)
        if group is None:
            raise InvalidError(f"-v {text}: unknown option {word!r}", hint="the option for read-only is ro")
        more = [other for other in given if other in group and other != word]
        if more:
            raise InvalidError(f"-v {text}: {word} and {more[0]} exclude each other")
    return set(given)
