"""What targets may do beyond the folder that bake was started in, and what they were allowed.

A bake file may come from somebody else. It reads and writes below the current folder;
for more, --allow has to say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.requests import Inputs, build_request
from tiffin.booleans import FALSE
from tiffin.build.agents import parse_agent
from tiffin.build.entitlements import DEVICE, INSECURE, NETWORK, Entitlements
from tiffin.build.secrets import parse_secret
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.engine.building.contextimages import split_layout
from tiffin.engine.building.inputs import LAYOUT
from tiffin.errors import DeniedError, InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tiffin.bake.overrides import Override
    from tiffin.bake.target import Target
    from tiffin.engine.building.request import BuildRequest

_FILES = ("fs", "fs.read", "fs.write")
_NAMES = (NETWORK, INSECURE, "ssh", DEVICE)
_KEYS = (*_NAMES, *_FILES)


class Privileges(NamedTuple):
    """Privileges by name, and the places that may be read and written."""

    names: frozenset[str] = frozenset()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def joined(self, other: Privileges) -> Privileges:
        """Return these and those of `other`."""
        return Privileges(self.names | other.names, self.read + other.read, self.write + other.write)


def parse_allow(texts: Sequence[str]) -> Privileges:
    """Return what the values of --allow grant."""
    names: set[str] = set()
    read: list[str] = []
    write: list[str] = []
    for text in texts:
        key, _, place = text.partition("=")
        if (key in _NAMES and not place) or (key == DEVICE and place):
            names.add(text)
        elif key in _FILES and place:
            read.extend([place] if key != "fs.write" else [])
            write.extend([place] if key != "fs.read" else [])
        else:
            hint = did_you_mean(key, _KEYS, f"there are: {', '.join(_KEYS)}")
            if key in _KEYS:
                hint = f"write --allow {key}=PATH" if key in _FILES else f"write --allow {key}"
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
            read.extend(_folders(override.value.removeprefix("cwd://")))
        elif override.key in ("secrets", "cache-from", "ssh", "output", "cache-to"):
            places = [part.partition("=")[2] or part for part in override.value.split(",")]
            (write if override.key in ("output", "cache-to") else read).extend(places)
    return Privileges(frozenset(names), tuple(read), tuple(write))


def needed(targets: Iterable[Target], environ: Mapping[str, str]) -> Privileges:
    """Return what targets ask for, as the build will understand them. Raises what build_request does."""
    names: set[str] = set()
    read: list[str] = []
    write: list[str] = []
    for target in targets:
        request = build_request(target, Inputs())
        agents = [parse_agent(text) for text in request.ssh]
        names |= request.steps.allow.names
        names.update("ssh" for agent in agents if not agent.paths)
        read.extend(_contexts(target, request))
        secrets = (parse_secret(text, environ) for text in request.secrets)
        read.extend(secret.file for secret in secrets if secret.file)
        read.extend(path for agent in agents for path in agent.paths)
        read.extend(entry["src"] for entry in target.entries("cache-from") if entry.get("src"))
        write.extend(
            entry["dest"]
            for entry in (*target.entries("output"), *target.entries("cache-to"))
            if entry.get("dest", "-") != "-"
        )
    return Privileges(frozenset(names), tuple(read), tuple(write))


def _contexts(target: Target, request: BuildRequest) -> Iterable[str]:
    """What contexts and Dockerfile may be as paths.

    What looks like a URL is one of them: it is a folder where there is a folder of that name.
    """
    yield from _folders(str(request.context))
    dockerfile = str(request.dockerfile)
    if target.text("dockerfile-inline") is None and not dockerfile.startswith(("http://", "https://")):
        yield dockerfile
    for value in request.build_contexts.values():
        if isinstance(value, str):
            yield from _folders(value)


def _folders(context: str) -> Iterable[str]:
    yield context
    if context.startswith(LAYOUT):
        yield split_layout(context.removeprefix(LAYOUT))[0]


def missing(wanted: Privileges, granted: Privileges, here: Path) -> list[str]:
    """Return the values of --allow that would be needed besides what is granted."""
    flags = sorted(name for name in wanted.names if not Entitlements(granted.names).allows(name))
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
