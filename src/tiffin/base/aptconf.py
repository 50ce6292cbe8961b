"""The apt configuration of the machine (apt.conf): only read, only what concerns fetching.

The format: `Name::Sub "value";`, nested `Name { Sub "value"; };`, lists of bare
values, comments `//`, `#`, `/* */`. Names are compared without case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)"""
    r"""|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<mark>[{};])|(?P<word>[^\s{};"]+)""",
    re.DOTALL,
)
_PART: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.conf)?")


class AptConfig:
    """Options by their full name; the last setting counts, as in apt."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)

    def get(self, name: str, default: str = "") -> str:
        """The value of the option, or `default` where it is not set."""
        return self._options.get(name.lower(), default)

    def flag(self, name: str, *, default: bool) -> bool:
        """The value of a switch, in any of apt's spellings."""
        value = self.get(name).lower()
        if value in {"yes", "true", "with", "on", "enable", "1"}:
            return True
        return False if value in {"no", "false", "without", "off", "disable", "0"} else default

    @classmethod
    def read(cls, root: Path, environ: Mapping[str, str]) -> AptConfig:
        """The configuration below `root`: the parts in their order, then apt.conf, then APT_CONFIG's file."""
        etc = root / "etc/apt"
        parts = sorted((etc / "apt.conf.d").glob("*")) if (etc / "apt.conf.d").is_dir() else []
        paths = [path for path in parts if _PART.fullmatch(path.name)] + [etc / "apt.conf"]
        if named := environ.get("APT_CONFIG"):
            paths.append(root / named.lstrip("/"))
        options: dict[str, str] = {}
        for path in paths:
            if path.is_file():
                options |= parse_options(path.read_text(errors="replace"))
        return cls(options)


def parse_options(text: str) -> dict[str, str]:
    """The options that set a value, by full name in lower case; lists keep their last entry."""
    options: dict[str, str] = {}
    scopes: list[str] = []
    words: list[str] = []
    for token in _TOKEN.finditer(text):
        if token["skip"] is not None:
            continue
        if token["mark"] is None:
            words.append(token["word"] if token["quoted"] is None else token["quoted"])
        elif token["mark"] == "{":
            scopes.append(words[0].strip(":").lower() if words else "")
            words = []
        elif token["mark"] == "}":
            scopes = scopes[:-1]
            words = []
        else:
            if len(words) == 2:
                name = "::".join(scope for scope in (*scopes, words[0].rstrip(":").lower()) if scope)
                options[name] = words[1]
            words = []
    return options
