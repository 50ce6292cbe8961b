"""What `--mount` says: comma-separated options of four types → the values that `-v` and `--tmpfs` have.

Pure, but for a look whether the source of a bind mount is there.
"""

from __future__ import annotations

import os
import re

from tiffin.booleans import EITHER, TRUE
from tiffin.container.mounts import NAME, PROPAGATION, TmpfsMount, VolumeMount, check_target
from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.fields import split_fields

__all__ = ["parse_mount"]

_SPELLINGS = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "chown": "u",
    "subpath": "image-subpath",
}
_EVERY = ("type", "source", "target", "readonly", "consistency")
_OWN = {
    "bind": ("bind-propagation", "bind-recursive", "bind-nonrecursive", "bind-create-src", "u"),
    "volume": ("volume-subpath", "volume-nocopy", "volume-label", "volume-driver", "volume-opt", "u"),
    "tmpfs": ("tmpfs-size", "tmpfs-mode"),
    "image": ("image-subpath",),
}
_SWITCHES = ("readonly", "volume-nocopy", "bind-nonrecursive", "bind-create-src", "u")
_SEVERAL = ("volume-label", "volume-opt")
_RECURSION = ("enabled", "disabled", "writable", "readonly")


def parse_mount(text: str) -> VolumeMount | TmpfsMount:
    """Return the mount. Raises InvalidError, UnsupportedError, or NotFoundError for a folder to mount."""
    fields, lists = _fields(text)
    kind = fields.pop("type", "volume").lower()
    if kind not in _OWN:
        raise UnsupportedError(
            f"--mount {text}: mounts of the type {kind!r} are not supported",
            hint="the type is bind, volume, tmpfs or image",
        )
    if kind == "volume" and "image-subpath" in fields:  # Podman has one word for both
        fields["volume-subpath"] = fields.pop("image-subpath")
    _check_names(text, kind, (*fields, *lists))
    target = check_target(f"--mount {text}", fields.get("target", ""))
    read_only = _switch(text, fields, "readonly")
    if kind == "tmpfs":
        return TmpfsMount(target, _tmpfs(text, fields, read_only=read_only))
    if kind == "image":
        return _image(text, fields, target)
    mount = VolumeMount("volume", fields.get("source", ""), target, read_only)
    mount = mount._replace(owned=_switch(text, fields, "u"))
    return _bind(text, fields, mount) if kind == "bind" else _volume(text, fields, lists, mount)


def _fields(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Options in one spelling, and those that may come several times; a switch alone is `true`."""
    fields: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    try:
        items = split_fields(text)
    except ValueError as error:
        raise InvalidError(f"--mount {text}: {error}") from None
    for item in items:
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        key = _SPELLINGS.get(key, key)
        if not equals and key not in _SWITCHES:
            raise InvalidError(f"--mount {text}: the option {item!r} needs a value", hint=f"write {item}=…")
        if key in _SEVERAL:
            lists.setdefault(key, []).append(value)
        else:
            fields[key] = value if equals else "true"
    return fields, lists


def _check_names(text: str, kind: str, names: tuple[str, ...]) -> None:
    for name in names:
        if name in _EVERY or name in _OWN[kind]:
            continue
        other = next((each for each, own in _OWN.items() if name in own), None)
        if other is not None:
            raise InvalidError(f"--mount {text}: the option {name!r} is not for mounts of the type {kind}")
        from difflib import get_close_matches

        near = get_close_matches(name, (*_EVERY, *_OWN[kind]), 1)
        hint = f"did you mean {near[0]}?" if near else f"its options: {', '.join((*_EVERY, *_OWN[kind]))}"
        raise InvalidError(f"--mount {text}: unknown option {name!r}", code="invalid-mount", hint=hint)


def _switch(text: str, fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "false")
    if value not in EITHER:
        raise InvalidError(f"--mount {text}: invalid value {value!r} for {name}", hint="it is true or false")
    return value in TRUE


def _bind(text: str, fields: dict[str, str], mount: VolumeMount) -> VolumeMount:
    if not mount.source:
        raise InvalidError(f"--mount {text}: a bind mount needs a source")
    source = os.path.abspath(mount.source)  # noqa: PTH100 - links in it stay as written, as Docker leaves them
    create = _switch(text, fields, "bind-create-src")
    if not create and not os.path.lexists(source):
        raise NotFoundError(
            f"--mount {text}: there is no {source}",
            hint="make it first, or add bind-create-src; -v makes a missing folder",
        )
    propagation = _one_of(text, fields, "bind-propagation", PROPAGATION)
    recursion = _one_of(text, fields, "bind-recursive", _RECURSION)
    if _switch(text, fields, "bind-nonrecursive"):
        if recursion not in ("", "disabled"):
            raise InvalidError(f"--mount {text}: bind-nonrecursive and bind-recursive={recursion} disagree")
        recursion = "disabled"
    if recursion in ("writable", "readonly") and not mount.read_only:
        raise InvalidError(
            f"--mount {text}: bind-recursive={recursion} is for mounts that are read-only",
            hint="add readonly",
        )
    if recursion == "readonly" and propagation not in ("", "rprivate"):
        raise InvalidError(
            f"--mount {text}: bind-recursive=readonly needs bind-propagation=rprivate: what comes later "
            "would not be read-only"
        )
    recursion = "" if recursion == "enabled" else recursion
    return mount._replace(kind="bind", source=source, propagation=propagation, recursion=recursion)


def _volume(
    text: str, fields: dict[str, str], lists: dict[str, list[str]], mount: VolumeMount
) -> VolumeMount:
    if mount.source and not re.fullmatch(NAME, mount.source):
        raise InvalidError(
            f"--mount {text}: {mount.source!r} cannot be the name of a volume",
            code="invalid-mount",
            hint="for a folder of this machine write type=bind",
        )
    if fields.get("volume-driver", "local") not in ("local", ""):
        raise UnsupportedError(
            f"--mount {text}: there is no volume driver {fields['volume-driver']}", hint="the driver is local"
        )
    subpath = _subpath(text, fields, "volume-subpath")
    if subpath and not mount.source:
        raise InvalidError(
            f"--mount {text}: a new volume has nothing at volume-subpath; name one with source"
        )
    return mount._replace(
        copy=not _switch(text, fields, "volume-nocopy"),
        subpath=subpath,
        labels=tuple(_pair(item) for item in lists.get("volume-label", ())),
        options=tuple(_pair(item) for item in lists.get("volume-opt", ())),
    )


def _image(text: str, fields: dict[str, str], target: str) -> VolumeMount:
    source = fields.get("source", "")
    if not source:
        raise InvalidError(f"--mount {text}: a mount of an image needs its name as the source")
    if fields.get("readonly", "true") not in TRUE:
        raise UnsupportedError(
            f"--mount {text}: images are mounted read-only",
            hint="for files of an image that can be written, fill a volume from it: -v NAME:/path",
        )
    return VolumeMount(
        "image", source, target, read_only=True, subpath=_subpath(text, fields, "image-subpath")
    )


def _tmpfs(text: str, fields: dict[str, str], *, read_only: bool) -> tuple[str, ...]:
    words = ["nosuid", "nodev", "noexec"]
    size, mode = fields.get("tmpfs-size"), fields.get("tmpfs-mode")
    if size is not None:
        match = re.fullmatch(r"([0-9]+)([kmg]?)(i?b)?", size.lower())
        if not match:
            raise InvalidError(
                f"--mount {text}: invalid value {size!r} for tmpfs-size", hint="for example 64m"
            )
        words.append(f"size={match[1]}{match[2]}")
    if mode is not None:
        if not re.fullmatch("[0-7]{1,5}", mode):
            raise InvalidError(
                f"--mount {text}: invalid value {mode!r} for tmpfs-mode", hint="for example 1777"
            )
        words.append(f"mode={mode}")
    return (*words, *(["ro"] if read_only else []))


def _subpath(text: str, fields: dict[str, str], name: str) -> str:
    value = fields.get(name, "")
    path = os.path.normpath(value) if value else ""
    if value.startswith("/") or path.split("/")[0] == "..":
        raise InvalidError(
            f"--mount {text}: {name} has to be a relative path that stays below its source",
            code="invalid-mount",
            hint=f"for example {name}=models/v1",
        )
    return "" if path == "." else path


def _one_of(text: str, fields: dict[str, str], name: str, values: tuple[str, ...]) -> str:
    value = fields.get(name, "")
    if value and value not in values:
        raise InvalidError(
            f"--mount {text}: invalid value {value!r} for {name}", hint=f"it is one of {', '.join(values)}"
        )
    return value


def _pair(item: str) -> tuple[str, str]:
    key, _, value = item.partition("=")
    return key, value
