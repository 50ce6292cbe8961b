"""`--mount` in the words of `--volume` and `--tmpfs`."""

from __future__ import annotations

import os

from tiffin.errors import InvalidError, NotFoundError, UnsupportedError
from tiffin.fields import split_fields

_SOURCE = ("source", "src")
_TARGET = ("target", "dst", "destination")
_READ_ONLY = ("readonly", "ro")
_TMPFS = {"tmpfs-size": "size", "tmpfs-mode": "mode"}


def mounts(texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Volumes (`source:target[:ro]`) and file systems in memory (`target[:options]`)."""
    volumes: list[str] = []
    tmpfs: list[str] = []
    for text in texts:
        fields = _fields(text)
        kind = fields.pop("type", "volume")
        target = fields.pop("target", "")
        if not target.startswith("/"):
            raise InvalidError(f"--mount {text}: a target is needed, as an absolute path")
        if kind == "tmpfs":
            tmpfs.append(_tmpfs(text, target, fields))
        elif kind in ("bind", "volume"):
            volumes.append(_volume(text, kind, target, fields))
        else:
            raise UnsupportedError(
                f"--mount {text}: mounts of the type {kind!r} are not supported",
                hint="the type is bind, volume or tmpfs",
            )
    return volumes, tmpfs


def _fields(text: str) -> dict[str, str]:
    """Keys in one spelling; a switch is `true`."""
    fields = {}
    for item in _split(text):
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        for one, spellings in (("source", _SOURCE), ("target", _TARGET), ("readonly", _READ_ONLY)):
            key = one if key in spellings else key
        fields[key] = value if equals else "true"
    return fields


def _split(text: str) -> list[str]:
    try:
        return split_fields(text)
    except ValueError as error:
        raise InvalidError(f"--mount {text}: {error}") from None


def _volume(text: str, kind: str, target: str, fields: dict[str, str]) -> str:
    source = fields.pop("source", "")
    read_only = fields.pop("readonly", "false").lower() in ("true", "1")
    _nothing_left(text, fields)
    if ":" in source + target:
        raise UnsupportedError(f"--mount {text}: paths with a colon cannot be mounted")
    if kind == "bind":
        if not source:
            raise InvalidError(f"--mount {text}: a bind mount needs a source")
        source = os.path.abspath(source)  # noqa: PTH100 - links in it stay as written, as Docker leaves them
        if not os.path.lexists(source):
            raise NotFoundError(
                f"--mount {text}: there is no {source}", hint="make it first; -v makes a missing folder"
            )
    return ":".join([*([source] if source else []), target, *(["ro"] if read_only else [])])


def _tmpfs(text: str, target: str, fields: dict[str, str]) -> str:
    options = [f"{_TMPFS[key]}={fields.pop(key)}" for key in list(fields) if key in _TMPFS]
    options += ["ro"] if fields.pop("readonly", "false").lower() in ("true", "1") else []
    _nothing_left(text, fields)
    return f"{target}:{','.join(options)}" if options else target


def _nothing_left(text: str, fields: dict[str, str]) -> None:
    if fields:
        raise UnsupportedError(f"--mount {text}: the option {next(iter(fields))!r} is not supported")
