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
from typing import NamedTuple

from tiffin.dockerfile import match
from tiffin.dockerfile.ignorepattern import Pattern, compile_pattern
from tiffin.dockerfile.source import Source
from tiffin.dockerfile.words import SPACE
from tiffin.errors import InvalidError, Where


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
        self._directories: dict[str, tuple[_State, int]] = {"": ((False,) * len(rules), -1)}

    @classmethod
    def parse(cls, text: str | bytes, file: str = ".dockerignore") -> IgnoreRules:
        """Return the rules of an ignore file. Raises InvalidError with the line of a bad pattern."""
        source = Source.of(text, file)
        rules = (_parse_line(file, number, source.line(number)) for number in range(1, len(source.lines) + 1))
        return cls(tuple(rule for rule in rules if rule is not None))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self.rules)

    def match(self, path: str) -> bool:
        """Whether `path` is left out."""
        return self.explain(path) is not None

    def explain(self, path: str) -> Rule | None:
        """Return the rule that leaves `path` out, or None if it stays."""
        decider = self._decide(path)[1]
        return self.rules[decider] if decider >= 0 else None

    def may_contain(self, directory: str) -> bool:
        """Whether a rule could keep something below `directory`, which is left out itself."""
        decider = self._decide(directory)[1]
        later = self.rules[decider + 1 :]
        return any(rule.keeps and _may_match_below(rule.pattern, directory) for rule in later)

    def _decide(self, path: str) -> tuple[_State, int]:
        """Return what each rule says of `path`, and which one leaves it out: -1 for none."""
        directory = path.rpartition("/")[0]
        if directory not in self._directories:
            for end in (slash.start() for slash in re.finditer("/|$", directory)):
                self._directories[directory[:end]] = self._decide_below(directory[:end])
        return self._decide_below(path) if path else self._directories[""]

    def _decide_below(self, path: str) -> tuple[_State, int]:
        """Decide on `path`, whose directory has been decided on."""
        inherited = self._directories[path.rpartition("/")[0]][0]
        matched = []
        decider = -1
        for index, rule in enumerate(self.rules):
            hit = inherited[index]
            if not hit and rule.keeps == (decider >= 0):  # else it could change nothing
                hit = rule.matcher.matches(path)
            matched.append(hit)
            if hit:
                decider = -1 if rule.keeps else index
        return tuple(matched), decider


def _parse_line(file: str, number: int, line: str) -> Rule | None:
    text = line.strip(SPACE)
    if line.startswith("#") or not text:
        return None
    keeps = text.startswith("!")
    pattern = text[1:].strip(SPACE) if keeps else text
    try:
        if not pattern:
            raise match.bad_pattern(text, "nothing follows the !")
        pattern = clean(pattern)
        match.compile_pattern(pattern)  # Docker takes only what filepath.Match takes
        return Rule(file, number, text, pattern, keeps, compile_pattern(pattern))
    except InvalidError as error:
        start = len(line) - len(line.lstrip(SPACE))
        error.where = Where(file, number, start + 1, start + len(text) + 1, line)
        raise


def clean(pattern: str) -> str:
    """Return `pattern` relative to the root, without `.`, `..` and double or final slashes."""
    cleaned = posixpath.normpath(pattern)
    if cleaned.startswith("/"):
        return cleaned.lstrip("/") or "/"
    return cleaned


def _may_match_below(pattern: str, directory: str) -> bool:
    """Whether `pattern` could match a path below `directory`; in doubt it could."""
    parts = pattern.split("/")
    above = directory.split("/")
    for part, name in zip(parts, above, strict=False):
        if "**" in part or re.search(r"[\[\]\\^]", part):
            return True
        if not match.match(part, name):
            return False
    return len(parts) > len(above)
