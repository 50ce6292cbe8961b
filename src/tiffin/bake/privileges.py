"""What targets may do beyond the folder that bake was started in, and what they were allowed.

A bake file may come from somebody else. It reads and writes below the current folder;
for more, --allow has to say so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.requests import is_remote
from tiffin.bake.selection import LINK
from tiffin.booleans import FALSE
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import DeniedError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tiffin.bake.overrides import Override
    from tiffin.bake.target import Target

_KEYS = ("network.host", "security.insecure", "ssh", "fs", "fs.read", "fs.write")
_PLAIN = ("network.host", "security.insecure", "ssh")
_LAYOUT = "oci-layout://"


class Privileges(NamedTuple):
    """Privileges by name, and the places that may be read and written."""

    names: frozenset[str] = frozenset()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


def parse_allow(texts: Sequence[str]) -> Privileges:
    """Return what the values of --allow grant."""
    names: set[str] = set()
    read: list[str] = []
    write: list[str] = []
    for text in texts:
        key, _, place = text.partition("=")
        if key in _PLAIN and not place:
            names.add(key)
        elif key in ("fs", "fs.read", "fs.write") and place:
            read.extend([place] if key != "fs.write" else [])
            write.extend([place] if key != "fs.read" else [])
        else:
            hint = did_you_mean(key, _KEYS, f"there are: {', '.join(_KEYS)}")
            if key in _KEYS:
                hint = f"write --allow {key}=PATH" if key not in _PLAIN else f"write --allow {key}"
            raise InvalidError(f"--allow {text}: there is no such privilege", code="bake-allow", hint=hint)
    return Privileges(frozenset(names), tuple(read), tuple(write))


def granted_by(overrides: Iterable[Override]) -> Privileges:
    """Return what --set grants: who names a place on the command line has seen it."""
    names: set[str] = set()
    read: list[str] = []
    write: list[str] = []
    for override in overrides:
        if override.key == "entitlements":
            names.add(override.value)
        elif override.key in ("context", "dockerfile", "contexts"):
            read.append(override.value)
        elif override.key in ("secrets", "cache-from", "ssh", "output", "cache-to"):
            places = [part.partition("=")[2] or part for part in override.value.split(",")]
            (write if override.key in ("output", "cache-to") else read).extend(places)
    return Privileges(frozenset(names), tuple(read), tuple(write))


def needed(targets: Iterable[Target]) -> Privileges:
    """Return what targets ask for."""
    names: set[str] = set()
    read: list[str] = []
    write: list[str] = []
    for target in targets:
        names.update(name for name in target.texts("entitlements") if name in _PLAIN)
        names.update("ssh" for entry in target.entries("ssh") if not entry.get("paths"))
        read.extend(_read(target))
        write.extend(
            entry["dest"]
            for entry in (*target.entries("output"), *target.entries("cache-to"))
            if entry.get("dest", "-") != "-"
        )
    return Privileges(frozenset(names), tuple(read), tuple(write))


def _read(target: Target) -> Iterable[str]:
    context = target.text("context") or "."
    if not is_remote(context):
        folder = context.removeprefix("cwd://")
        yield folder
        if target.text("dockerfile-inline") is None:
            yield str(Path(folder) / (target.text("dockerfile") or "Dockerfile").removeprefix("cwd://"))
    for value in target.pairs("contexts").values():
        if value.startswith(_LAYOUT):
            yield value.removeprefix(_LAYOUT).partition("@")[0].partition(":")[0]
        elif not is_remote(value) and not value.startswith(LINK):
            yield value.removeprefix("cwd://")
    for entry in target.entries("secret"):
        if entry.get("src"):
            yield entry["src"]
    for entry in target.entries("ssh"):
        yield from (path for path in entry.get("paths", "").split(",") if path)
    for entry in target.entries("cache-from"):
        if entry.get("src"):
            yield entry["src"]


def missing(wanted: Privileges, granted: Privileges, here: Path) -> list[str]:
    """Return the values of --allow that would be needed besides what is granted."""
    flags = sorted(wanted.names - granted.names)
    for key, places, allowed in (
        ("fs.read", wanted.read, granted.read),
        ("fs.write", wanted.write, granted.write),
    ):
        roots = [here.resolve(), *((here / place).resolve() for place in allowed if place != "*")]
        outside = {
            (here / place).resolve()
            for place in places
            if "*" not in allowed and not any((here / place).resolve().is_relative_to(root) for root in roots)
        }
        highest = (place for place in outside if outside.isdisjoint(place.parents))
        flags += [f"{key}={place}" for place in sorted(highest)]
    return flags


def check(wanted: Privileges, granted: Privileges, here: Path, environ: Mapping[str, str]) -> None:
    """Raise DeniedError if targets ask for more than they may."""
    flags = missing(wanted, granted, here)
    if environ.get("BUILDX_BAKE_ENTITLEMENTS_FS") in FALSE:
        flags = [flag for flag in flags if not flag.startswith(("fs.", "ssh"))]
    if flags:
        raise DeniedError(
            f"the targets ask for more than they may: {', '.join(flags)}",
            code="bake-privileges",
            hint=f"if you trust the bake file, say {' '.join(f'--allow={flag}' for flag in flags)}",
        )
