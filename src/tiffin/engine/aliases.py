"""Aliases of images: a name that a Dockerfile or a command has, and the image that is taken in its place.

The setting `aliases` says so; whoever takes another image is told that it is another. A name with a digest
means that content and nothing else: it has no alias. What is taken is an image by its name, or
`base:[SUITE][+python][+build]`: a base from a distribution's packages, which is made when it is first needed.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, NotFoundError
from tiffin.events import Notice
from tiffin.oci.reference import Reference
from tiffin.settingsfile import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.settingsfile import SettingsFile


class Base(NamedTuple):
    """A base from packages, as `tiffin base` makes it; an empty suite is the machine's own."""

    suite: str = ""
    python: bool = False
    build: bool = False

    @property
    def reference(self) -> Reference:
        """The name that it has in the store."""
        words = [
            self.suite or "own",
            *(["python"] if self.python else []),
            *(["build"] if self.build else []),
        ]
        return Reference("localhost", "tiffin/base", "-".join(words))

    @property
    def command(self) -> str:
        """What makes it."""
        words = [self.suite, "--python" if self.python else "", "--flavour build" if self.build else ""]
        return " ".join(filter(None, ["tiffin base", *words, f"-t {self.reference}"]))


class Alias(NamedTuple):
    """What is taken for names that fit `pattern`, and the file that says so; `base` if it is to be made."""

    pattern: str
    target: Reference
    origin: Path
    base: Base | None = None

    def matches(self, reference: Reference) -> bool:
        """The name fits, in its short form or its long one; `*` stands for anything, `?` for a character."""
        if not _has_marks(self.pattern):
            return Reference.parse(self.pattern).tagged() == reference
        return any(fnmatchcase(name, self.pattern) for name in (reference.familiar, str(reference)))


def _has_marks(pattern: str) -> bool:
    """Whether it may stand for several names."""
    return any(mark in pattern for mark in "*?[")


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
    if alias.base is not None and engine.tags.get(alias.target) is None:
        _make(engine, alias.base)
    return target


def _make(engine: Engine, base: Base) -> None:
    if engine.base_maker is None:
        raise NotFoundError(
            f"the base {base.reference} is not made yet",
            code="no-such-image",
            hint=f"make it: {base.command}",
        )
    engine.base_maker(engine, base.suite, str(base.reference), python=base.python, build=base.build)


def _aliases(file: SettingsFile) -> list[Alias]:
    return [_alias(file, pattern, text) for pattern, text in file.aliases.items()]


def _alias(file: SettingsFile, pattern: str, text: str) -> Alias:
    try:
        if not _has_marks(pattern):
            Reference.parse(pattern)
        scheme, colon, rest = text.partition(":")
        if colon and scheme == "base":
            base = _base(rest)
            return Alias(pattern, base.reference, file.path, base)
        return Alias(pattern, Reference.parse(text).tagged(), file.path)
    except InvalidError as error:
        raise InvalidError(
            f"{file.path}: the alias {pattern!r}: {error.message}", code="settings-file", hint=error.hint
        ) from None


def _base(text: str) -> Base:
    first, *words = text.split("+")
    if first in ("python", "build"):
        first, words = "", [first, *words]
    unknown = [word for word in words if word not in ("python", "build")]
    if unknown:
        raise InvalidError(f"a base has no {unknown[0]!r}", hint="write base:[SUITE][+python][+build]")
    return Base(first, "python" in words, "build" in words)
