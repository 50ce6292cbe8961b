r"""What git ignores: the rules of `.gitignore` files, as gitignore(5) has them. Pure.

They are read to tell what somebody did not mean to copy, so what is doubtful
is not ignored: exclude files outside the tree and bad patterns count for nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """A line: it ignores, or `keeps`, what `regex` matches; `folders` says that it is about folders alone."""

    regex: re.Pattern[str]
    keeps: bool
    folders: bool


class GitIgnore:
    """The rules of several files, those of folders further up first; of rules that match the last counts."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = rules

    def with_file(self, text: str, folder: str = "") -> GitIgnore:
        """Return these rules and those of a file in `folder`, which is a path as those that are asked for."""
        found = (_parse(line, folder) for line in text.splitlines())
        return GitIgnore((*self._rules, *(rule for rule in found if rule is not None)))

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether the entry `path` is ignored; what lies in a folder that is ignored is not asked for."""
        for rule in reversed(self._rules):
            if (folder or not rule.folders) and rule.regex.match(path):
                return not rule.keeps
        return False


def _parse(line: str, folder: str) -> Rule | None:
    text = re.sub(r"(?<!\\) +\Z", "", line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    keeps = text.startswith("!")
    text = text[1:] if keeps else text
    folders = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    try:
        body = _translate(text.removeprefix("/"))
        return Rule(re.compile(f"{_start(folder, anchored=anchored)}{body}\\Z", re.DOTALL), keeps, folders)
    except re.error:
        return None


def _start(folder: str, *, anchored: bool) -> str:
    within = f"{re.escape(folder)}/" if folder else ""
    return within if anchored else f"{within}(?:.*/)?"


def _translate(pattern: str) -> str:
    """Return the regular expression of `pattern`, which has no slash at its ends."""
    parts: list[str] = []
    offset = 0
    while offset < len(pattern):
        character = pattern[offset]
        if pattern.startswith("**/", offset) and (offset == 0 or pattern[offset - 1] == "/"):
            parts.append("(?:.*/)?")
            offset += 3
        elif pattern[offset:] == "**" and pattern[:offset].endswith("/"):
            parts.append(".*")
            offset += 2
        elif character in "*?":
            parts.append("[^/]*" if character == "*" else "[^/]")
            offset += 1
        elif character == "[":
            end = pattern.find("]", offset + 2)
            if end < 0:
                raise re.error("[ has no matching ]")
            inner = pattern[offset + 1 : end].replace("\\", "\\\\")
            parts.append(f"[^/{inner[1:]}]" if inner[0] in "!^" else f"(?!/)[{inner}]")
            offset = end + 1
        else:
            offset += character == "\\" and offset + 1 < len(pattern)
            parts.append(re.escape(pattern[offset]))
            offset += 1
    return "".join(parts)
