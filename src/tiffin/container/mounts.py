"""What `-v` and `--tmpfs` say: Docker's forms of a mount → values (pure).

A name is a volume, a path that begins with / or . is a folder of the host, and nothing at all is a
volume without a name.
"""

from __future__ import annotations

import os
import re
from typing import Literal

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.linux.record import NamedTuple

__all__ = ["VolumeMount", "parse_tmpfs", "parse_volume"]

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
# What is so anyhow, and words for what no Linux host with a local folder has.
_WITHOUT_EFFECT = {"rw", "z", "Z", "cached", "delegated", "consistent", "private", "rprivate"}
_PROPAGATION = {"shared", "rshared", "slave", "rslave"}
_TMPFS = ("nosuid", "nodev")
_TMPFS_OPTIONS = r"(size|nr_inodes|nr_blocks|mode|uid|gid)=[0-9]+[kKmMgG%]?|rw|ro|(no)?(exec|suid|dev|atime)"
_FORMS = "the forms are /host:/container, name:/container and /container, each with :ro or not"


class VolumeMount(NamedTuple):
    """A mount that was asked for: `source` is a path of the host, or a volume's name, empty for a new one."""

    kind: Literal["bind", "volume"]
    source: str
    target: str
    read_only: bool = False
    copy: bool = True
    """Fill an empty volume with what the image has there."""


def parse_volume(text: str, directory: str) -> VolumeMount:
    """Return what `-v` asks for; paths that begin with a dot are relative to `directory`."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidError(f"-v {text}: this is no mount", hint=_FORMS)
    if len(parts) == 1:
        return VolumeMount("volume", "", _target(text, parts[0]))
    source, target = parts[0], _target(text, parts[1])
    read_only, copy = _options(text, parts[2] if len(parts) == 3 else "")
    if source.startswith(("/", ".")):
        path = os.path.normpath(source if source.startswith("/") else f"{directory}/{source}")
        return VolumeMount("bind", path, target, read_only)
    if not re.fullmatch(_NAME, source):
        raise InvalidError(
            f"-v {text}: {source!r} is neither an absolute path nor the name of a volume",
            code="invalid-mount",
            hint=f"for a folder write its whole path, or begin it with ./ as in -v ./{source}:{target}",
        )
    return VolumeMount("volume", source, target, read_only, copy)


def parse_tmpfs(text: str) -> tuple[str, tuple[str, ...]]:
    """Return target and mount options of one `--tmpfs PATH[:OPTIONS]`."""
    path, _, words = text.partition(":")
    given = tuple(word for word in words.split(",") if word)
    for word in given:
        if not re.fullmatch(_TMPFS_OPTIONS, word):
            raise InvalidError(
                f"--tmpfs {text}: unknown option {word!r}", hint="for example --tmpfs /tmp:size=64m,mode=1777"
            )
    defaults = tuple(word for word in (*_TMPFS, "noexec") if word.removeprefix("no") not in given)
    return _target(text, path), (*defaults, *(word for word in given if word not in ("suid", "dev", "exec")))


def _target(text: str, path: str) -> str:
    if not path.startswith("/"):
        raise InvalidError(f"-v {text}: the path {path!r} in the container is not absolute", hint=_FORMS)
    target = os.path.normpath(path).replace("//", "/")
    if target == "/":
        raise InvalidError(f"-v {text}: the root of the container cannot be mounted over", hint=_FORMS)
    return target


def _options(text: str, words: str) -> tuple[bool, bool]:
    read_only, copy = False, True
    for word in words.split(",") if words else ():
        if word in ("ro", "readonly"):
            read_only = True
        elif word == "nocopy":
            copy = False
        elif word in _PROPAGATION:
            raise UnsupportedError(
                f"-v {text}: mounts are private; {word} is not in this release",
                code="no-propagation",
                hint="what is to be seen inside has to be mounted before the container starts",
            )
        elif word not in _WITHOUT_EFFECT:
            raise InvalidError(f"-v {text}: unknown option {word!r}", hint="the option for read-only is ro")
    return read_only, copy
