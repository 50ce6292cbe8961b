"""The ignore file of a build context (`.dockerignore`): which paths it leaves out. Pure.

Docker's rules, which are not git's: every pattern begins at the root of the
context; the last one that matches counts; `!` brings back, also below a
directory that is left out, so such a directory may have to be walked; what
matches a directory takes all that is below it. A directory's own result is
carried down to its entries, as Docker does while it walks.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile import match
from tiffin.dockerfile.ignorepattern import Pattern, compile_pattern
from tiffin.dockerfile.source import Source
from tiffin.dockerfile.words import SPACE
from tiffin.errors import InvalidError, Where

if TYPE_CHECKING:
    from collections.abc import Iterable


class Rule(NamedTuple):
    """One line of an ignore file: `text` as written, `pattern` cleaned, `keeps` for a `!`."""

    file: str
    line: int
    text: str
    pattern: str
    keeps: bool
    matcher: Pattern


# For each rule, whether it matched a directory or one above it.
_State = tuple[bool, ...]


class IgnoreRules:
    """The rules of one ignore file. Paths are relative to the context, with slashes, without `.` and `..`."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self._tests = [(rule.keeps, rule.matcher.test()) for rule in rules]
        self._directories: dict[str, _State] = {"": (False,) * len(rules)}

    @classmethod
    def parse(cls, text: str | bytes, file: str = ".dockerignore") -> IgnoreRules:
        """Return the rules of an ignore file. Raises InvalidError with the line of a bad pattern."""
        source = Source.of(text, file)
        rules = (_parse_line(file, number, source.line(number)) for number in range(1, len(source.lines) + 1))
        return cls(tuple(rule for rule in rules if rule is not None))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> IgnoreRules:
        """Return the rules of single patterns, which a leading slash keeps from matching anything.

        Raises InvalidError for a bad one.
        """
        rules = (_parse(pattern, "", number, rooted=True) for number, pattern in enumerate(patterns, 1))
        return cls(tuple(rule for rule in rules if rule is not None))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self.rules)

    def match(self, path: str) -> bool:
        """Whether `path` is left out."""
        return self._decider(path) >= 0

    def explain(self, path: str) -> Rule | None:
        """Return the rule that leaves `path` out, or None if it stays."""
        decider = self._decider(path)
        return self.rules[decider] if decider >= 0 else None

    def may_contain(self, directory: str) -> bool:
        """Whether a rule could keep something below `directory`, which is left out itself."""
        decider = self._decider(directory)
        later = self.rules[decider + 1 :]
        return any(rule.keeps and may_match_below(rule.pattern, directory) for rule in later)

    def _decider(self, path: str) -> int:
        """Return which rule leaves `path` out, -1 for none; the context itself always stays."""
        decider = -1
        if not path:
            return decider
        inherited = self._state(path.rpartition("/")[0])
        for index, (keeps, test) in enumerate(self._tests):
            # A rule that could change nothing is not asked.
            if inherited[index] or (keeps == (decider >= 0) and test(path)):
                decider = -1 if keeps else index
        return decider

    def _state(self, directory: str) -> _State:
        """Return for each rule whether it matched `directory` or one above it."""
        if directory not in self._directories:
            for end in (slash.start() for slash in re.finditer("/|$", directory)):
                self._directories[directory[:end]] = self._enter(directory[:end])
        return self._directories[directory]

    def _enter(self, directory: str) -> _State:
        """Return the state of `directory`, whose parent's is known."""
        left_out = False
        state = []
        above = self._directories[directory.rpartition("/")[0]]
        for inherited, (keeps, test) in zip(above, self._tests, strict=True):
            hit = inherited or (keeps == left_out and bool(test(directory)))
            state.append(hit)
            if hit:
                left_out = not keeps
        return tuple(state)


def _parse_line(file: str, number: int, line: str) -> Rule | None:
    if line.startswith("#"):
        return None
    text = line.strip(SPACE)
    try:
        return _parse(text, file, number)
    except InvalidError as error:
        start = len(line) - len(line.lstrip(SPACE))
        error.where = Where(file, number, start + 1, start + len(text) + 1, line)
        raise


def _parse(text: str, file: str, number: int, *, rooted: bool = False) -> Rule | None:
    if not text:
        return None
    keeps = text.startswith("!")
    pattern = text[1:].strip(SPACE) if keeps else text
    if not pattern:
        raise match.bad_pattern(text, "nothing follows the !")
    pattern = posixpath.normpath(pattern) if rooted else clean(pattern)
    match.compile_pattern(pattern)  # Docker takes only what filepath.Match takes
    return Rule(file, number, text, pattern, keeps, compile_pattern(pattern))


def clean(pattern: str) -> str:
    """Return `pattern` relative to the root, without `.`, `..` and double or final slashes."""
    cleaned = posixpath.normpath(pattern)
    if cleaned.startswith("/"):
        return cleaned.lstrip("/") or "/"
    return cleaned


def may_match_below(pattern: str, directory: str) -> bool:
    """Whether `pattern`, cleaned, could match a path below `directory`; in doubt it could."""
    parts = pattern.split("/")
    above = directory.split("/")
    for part, name in zip(parts, above, strict=False):
        if "**" in part or re.search(r"[\[\]\\^]", part):
            return True
        if not match.match(part, name):
            return False
    return len(parts) > len(above)
