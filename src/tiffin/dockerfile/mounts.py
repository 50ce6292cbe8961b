"""The value of `RUN --mount=`: comma-separated options → one of five kinds of mount. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from tiffin.booleans import EITHER, TRUE
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError
from tiffin.fields import split_fields

if TYPE_CHECKING:
    from collections.abc import Callable

Sharing = Literal["shared", "private", "locked"]


class BindMount(NamedTuple):
    """A directory or file of the build context, of a stage or of an image (`origin`)."""

    target: str
    source: str = ""
    origin: str = ""
    writable: bool = False


class CacheMount(NamedTuple):
    """A directory that outlives the build; made from `source` of `origin` when it is new."""

    target: str
    id: str = ""
    sharing: Sharing = "shared"
    source: str = ""
    origin: str = ""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    read_only: bool = False


class TmpfsMount(NamedTuple):
    """Memory; `size` in bytes."""

    target: str
    size: int | None = None


class SecretMount(NamedTuple):
    """A secret as a file at `target`, as the variable `env`, or both."""

    id: str
    target: str | None
    env: str | None = None
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class SshMount(NamedTuple):
    """The socket of an SSH agent; the builder chooses where if `target` is None."""

    id: str = ""
    target: str | None = None
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


Mount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "readonly": "ro", "readwrite": "rw"}
_SWITCHES = ("ro", "rw", "required")
_OWNERSHIP = ("mode", "uid", "gid")
# Which options each kind takes. BuildKit lets `ro` and `rw` stand with every kind.
_OPTIONS = {
    "bind": ("from", "source", "target", "ro", "rw"),
    "cache": ("id", "sharing", "from", "source", "target", "ro", "rw", *_OWNERSHIP),
    "tmpfs": ("target", "size", "ro", "rw"),
    "secret": ("id", "source", "target", "env", "required", "ro", "rw", *_OWNERSHIP),
    "ssh": ("id", "target", "required", "ro", "rw", *_OWNERSHIP),
}
_EVERY_OPTION = ("type", *dict.fromkeys(name for names in _OPTIONS.values() for name in names), *_ALIASES)
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?([kmgtp]?)i?b?\Z", re.IGNORECASE)


def parse_mount(text: str, expand: Callable[[str], str] | None = None) -> Mount | None:
    """Return the mount that `text` describes, its values passed through `expand`.

    Without `expand` only what holds for any value of the variables is checked,
    and None stands for a mount that depends on them. Raises InvalidError.
    """
    values: dict[str, str] = {}
    unknown = False
    for field in _fields(text):
        key, equals, value = field.partition("=")
        name = _ALIASES.get(key.lower(), key.lower())
        if name not in _EVERY_OPTION:
            raise _invalid(f"unknown option {key!r} of --mount", did_you_mean(key, _EVERY_OPTION))
        if not equals and name not in _SWITCHES:
            raise _invalid(f"the option {key} of --mount needs a value", f"write {key}=…")
        if name == "from" and "$" in value[:-1]:
            raise _invalid(
                "variables are not expanded in from= of --mount",
                "make a stage with FROM $… AS name and name that",
            )
        if expand is not None:
            value = expand(value)
        elif "$" in value:
            unknown = True
        values[name] = value if equals else "true"
    if unknown:
        return None
    return _mount(values)


def mount_option(text: str, name: str) -> str:
    """Return the value of the option `name` as it is written; empty if it is not there."""
    found = ""
    for field in _fields(text):
        key, _, value = field.partition("=")
        if key.lower() == name:
            found = value
    return found


def _fields(text: str) -> list[str]:
    try:
        return split_fields(text)
    except ValueError:
        raise _invalid(
            "a quote in --mount is out of place", 'write "key=va,lue" with quotes around the whole'
        ) from None


def _mount(values: dict[str, str]) -> Mount:
    kind = values.pop("type", "bind").lower()
    if kind not in _OPTIONS:
        raise _invalid(
            f"unknown type {kind!r} of --mount",
            did_you_mean(kind, _OPTIONS, f"the types are {', '.join(_OPTIONS)}"),
        )
    for name in values:
        if name not in _OPTIONS[kind]:
            raise _invalid(
                f"a mount of type {kind} has no option {name}", f"its options: {', '.join(_OPTIONS[kind])}"
            )
    return {"bind": _bind, "cache": _cache, "tmpfs": _tmpfs, "secret": _secret, "ssh": _ssh}[kind](values)


def _bind(values: dict[str, str]) -> Mount:
    writable = not _read_only(values, default=True)
    return BindMount(_target(values, "bind"), values.get("source", ""), values.get("from", ""), writable)


def _cache(values: dict[str, str]) -> Mount:
    sharing = values.get("sharing", "shared").lower()
    if sharing not in ("shared", "private", "locked"):
        hint = did_you_mean(sharing, ("shared", "private", "locked"), "it is shared, private or locked")
        raise _invalid(f"unknown sharing {sharing!r} of --mount", hint)
    return CacheMount(
        _target(values, "cache"),
        values.get("id", ""),
        cast("Sharing", sharing),
        values.get("source", ""),
        values.get("from", ""),
        *_ownership(values),
        _read_only(values, default=False),
    )


def _tmpfs(values: dict[str, str]) -> Mount:
    _read_only(values, default=False)
    size = values.get("size")
    return TmpfsMount(_target(values, "tmpfs"), None if size is None else _bytes(size))


def _secret(values: dict[str, str]) -> Mount:
    _read_only(values, default=True)
    if "id" in values and "source" in values:
        raise _invalid("a secret mount has both id and source", "they mean the same: keep id")
    target = values.get("target") or None
    identity = values.get("id") or values.get("source") or (target or "").rstrip("/").rpartition("/")[2]
    if not identity:
        raise _invalid("a secret mount needs an id or a target", "write --mount=type=secret,id=NAME")
    env = values.get("env") or None
    if target is None and env is None:
        target = "/run/secrets/" + identity.rpartition("/")[2]
    return SecretMount(identity, target, env, _boolean(values, "required"), *_ownership(values))


def _ssh(values: dict[str, str]) -> Mount:
    _read_only(values, default=True)
    required = _boolean(values, "required")
    return SshMount(values.get("id", ""), values.get("target") or None, required, *_ownership(values))


def _target(values: dict[str, str], kind: str) -> str:
    target = values.get("target", "")
    if not target:
        raise _invalid(f"a mount of type {kind} needs a target", "write target=/path")
    return target


def _read_only(values: dict[str, str], *, default: bool) -> bool:
    result = default
    for name in values:  # the last one counts
        if name in ("ro", "rw"):
            result = _boolean(values, name) == (name == "ro")
    return result


def _boolean(values: dict[str, str], name: str) -> bool:
    value = values.get(name, "false")
    if value not in EITHER:
        raise _invalid(f"invalid value {value!r} for {name} of --mount", "it is true or false")
    return value in TRUE


def _ownership(values: dict[str, str]) -> tuple[int | None, int | None, int | None]:
    return _number(values, "mode", 8), _number(values, "uid", 10), _number(values, "gid", 10)


def _number(values: dict[str, str], name: str, base: int) -> int | None:
    if name not in values:
        return None
    value = values[name]
    digits = "01234567" if base == 8 else "0123456789"
    if not value or value.strip(digits) or len(value) > 11 or int(value, base) >= 1 << 32:
        raise _invalid(f"invalid value {value!r} for {name} of --mount", f"it is a number in base {base}")
    return int(value, base)


def _bytes(value: str) -> int:
    match = _SIZE.match(value)
    if match is None or len(value) > 20:
        raise _invalid(f"invalid value {value!r} for size of --mount", "write it as 64m or 2g")
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def _invalid(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="invalid-mount", hint=hint)
