"""`--set pattern.key[.name]=value` and the flags that stand for it.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.entries import parse_entry
from tiffin.bake.language.values import BadValueError, to_bool
from tiffin.bake.target import FIELDS
from tiffin.dockerfile.match import has_wildcard, match
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tiffin.bake.entries import Entry
    from tiffin.bake.target import FieldValue, Target

# The keys of --set, and the attributes that they set.
_KEYS = {name: name for name in FIELDS if name not in ("description", "inherits", "platforms", "secret")} | {
    "platform": "platforms",
    "secrets": "secret",
    "push": "output",
    "load": "output",
}
_ALWAYS_ADDED = ("annotations", "attest", "entitlements")


class Override(NamedTuple):
    """One `--set`: for which targets, which key, which name within it, what, and whether it is added."""

    pattern: str
    key: str
    name: str
    value: str
    adds: bool


def parse_override(text: str, environ: Mapping[str, str]) -> Override | None:
    """Return what `--set text` means; None for an argument without value that the environment lacks."""
    left, equals, value = text.partition("=")
    adds = left.endswith("+") and bool(equals)
    pattern, _, rest = left.removesuffix("+" if adds else "").partition(".")
    key, _, name = rest.partition(".")
    if not pattern or not key:
        raise _wrong(text, "it is not TARGET.KEY=VALUE")
    if key not in _KEYS:
        also = {"platforms": "platform", "secret": "secrets", "dockerfile-inline": ""}.get(key)
        hint = f"write {also}" if also else did_you_mean(key, _KEYS, f"there are: {', '.join(sorted(_KEYS))}")
        raise InvalidError(f"--set {text}: there is no key {key!r}", code="bake-set", hint=hint)
    if FIELDS[_KEYS[key]].holds == "map" and not name:
        raise _wrong(text, f"{key} needs a name: {pattern}.{key}.NAME=VALUE")
    if not equals and key == "args":
        return Override(pattern, key, name, environ[name], adds) if name in environ else None
    if not equals:
        raise _wrong(text, "the value is missing")
    return Override(pattern, key, name, value, adds)


def _wrong(text: str, why: str) -> InvalidError:
    return InvalidError(
        f"--set {text}: {why}", code="bake-set", hint="like --set 'app*.args.VERSION=2' or --set '*.tags+=x'"
    )


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that a pattern of --set means; none is an error."""
    names = list(names)
    found = [name for name in names if name == pattern] or [name for name in names if match(pattern, name)]
    if not found:
        raise no_target(pattern, names)
    return found


def no_target(name: str, names: Iterable[str]) -> NotFoundError:
    """Return the error for a target or group that is not there."""
    names = list(names)
    what = "no target matches" if has_wildcard(name) else "there is no target"
    shown = ", ".join(sorted(names)[:20])
    hint = did_you_mean(name, names, f"there are: {shown}" if shown else "the files define none")
    return NotFoundError(f"{what} {name}", code="bake-target", hint=hint)


def apply(target: Target, overrides: Sequence[Override]) -> None:
    """Change `target` as it is asked for; of one key, later values join the earlier ones."""
    grouped: dict[tuple[str, str], list[Override]] = {}
    for override in overrides:
        name = override.name if FIELDS[_KEYS[override.key]].holds == "map" else ""
        grouped.setdefault((override.key, name), []).append(override)
    # what is to be pushed and loaded is decided on the outputs as they then are
    for (key, name), group in sorted(grouped.items(), key=lambda item: _order(item[0][0])):
        try:
            _apply(target, key, name, group)
        except BadValueError as error:
            raise InvalidError(
                f"--set {group[-1].pattern}.{key}: {error.message}", code="bake-set"
            ) from error


def _order(key: str) -> int:
    return {"push": 1, "load": 2}.get(key, 0)


def _apply(target: Target, key: str, name: str, group: Sequence[Override]) -> None:
    field, last = _KEYS[key], group[-1]
    if key == "push":
        target.values["output"] = pushed(target.entries("output"), push=to_bool(last.value))
    elif key == "load":
        target.values["output"] = loaded(target.entries("output"), load=to_bool(last.value))
    elif FIELDS[field].holds == "map":
        before = target.values.get(field)
        target.values[field] = {**(before if isinstance(before, dict) else {}), name: last.value}
    elif FIELDS[field].holds == "flag":
        target.values[field] = to_bool(last.value)
    elif FIELDS[field].holds == "text":
        target.values[field] = last.value
    else:
        adds = last.adds or key in _ALWAYS_ADDED
        target.values[field] = _listed(target, field, [one.value for one in group], adds=adds)


def _listed(target: Target, field: str, values: Sequence[str], *, adds: bool) -> FieldValue:
    if FIELDS[field].holds == "list":
        return (*(target.texts(field) if adds else ()), *values)
    entries = [parse_entry(field, value) for value in values if value]
    return (*(target.entries(field) if adds else ()), *entries)


def pushed(outputs: Sequence[Entry], *, push: bool) -> tuple[Entry, ...]:
    """Return outputs that go to a registry, or that do not; folders and archives stay what they are."""
    if not push:
        kept = (entry for entry in outputs if entry["type"] != "registry")
        return tuple({**entry, "push": "false"} if entry["type"] == "image" else entry for entry in kept)
    changed = [{**entry, "push": "true"} if entry["type"] == "image" else entry for entry in outputs]
    if all(entry["type"] == "docker" for entry in changed):
        changed.append({"type": "image", "push": "true"})
    return tuple(changed)


def loaded(outputs: Sequence[Entry], *, load: bool) -> tuple[Entry, ...]:
    """Return outputs that also go to the store, unless they are folders or archives."""
    here = any(entry["type"] == "docker" and not entry.get("dest") for entry in outputs)
    elsewhere = any(entry["type"] not in ("docker", "image", "registry", "oci") for entry in outputs)
    if not load or here or elsewhere:
        return tuple(outputs)
    return (*outputs, {"type": "docker"})
