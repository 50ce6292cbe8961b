"""Aliases of images: a name that a Dockerfile or a command has, and the image that is taken in its place.

The setting `aliases` says so; whoever takes another image is told that it is another. A name with a digest
means that content and nothing else: it has no alias.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError
from tiffin.events import Notice
from tiffin.oci.reference import Reference
from tiffin.settingsfile import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.settingsfile import SettingsFile


class Alias(NamedTuple):
    """What is taken for the names that fit `pattern`, and the file that says so."""

    pattern: str
    target: Reference
    origin: Path

    def matches(self, reference: Reference) -> bool:
        """The name fits, in its short form or its long one; `*` stands for anything, `?` for a character."""
        if not any(mark in self.pattern for mark in "*?["):
            return Reference.parse(self.pattern).tagged() == reference
        return any(fnmatchcase(name, self.pattern) for name in (reference.familiar, str(reference)))


def find_alias(files: Sequence[SettingsFile], reference: Reference) -> Alias | None:
    """Return the most exact alias of a name, the user's before the machine's; None if there is none."""
    if reference.digest is not None:
        return None
    found = [alias for file in files for alias in _aliases(file) if alias.matches(reference)]
    best = max(found, key=lambda alias: len(alias.pattern.replace("*", "")), default=None)
    return None if best is None or best.target == reference else best


def real_name(engine: Engine, name: str, told: dict[str, str] | None = None) -> str:
    """Return the name of the image to take for `name`, and say so if it is another; enter it in `told`.

    Raises InvalidError for a settings file that cannot be understood.
    """
    files = read_settings(engine.settings.environ)
    if not any(file.aliases for file in files):
        return name
    try:
        reference = Reference.parse(name).tagged()
    except InvalidError:  # an id
        return name
    alias = find_alias(files, reference)
    if alias is None:
        return name
    target = alias.target.familiar
    if told is None or told.get(reference.familiar) != target:
        engine.emit(
            Notice(
                f"{reference.familiar} is an alias here: {target} is taken, which is another image"
                f" ({alias.pattern} in {alias.origin})"
            )
        )
    if told is not None:
        told[reference.familiar] = target
    return target


def _aliases(file: SettingsFile) -> list[Alias]:
    return [Alias(pattern, _target(file, pattern, text), file.path) for pattern, text in file.aliases.items()]


def _target(file: SettingsFile, pattern: str, text: str) -> Reference:
    try:
        Reference.parse(pattern) if not any(mark in pattern for mark in "*?[") else None
        return Reference.parse(text).tagged()
    except InvalidError as error:
        raise InvalidError(
            f"{file.path}: the alias {pattern!r}: {error.message}", code="settings-file", hint=error.hint
        ) from None
