"""The flags of each instruction: which there are, and what values they take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tiffin.dockerfile.nearest import did_you_mean

if TYPE_CHECKING:
    from tiffin.dockerfile.statement import Statement
    from tiffin.dockerfile.words import Word

Kind = Literal["switch", "value", "values"]

_TRANSFER: dict[str, Kind] = {"chown": "value", "chmod": "value", "link": "switch", "exclude": "values"}
_KNOWN: dict[str, dict[str, Kind]] = {
    "FROM": {"platform": "value"},
    "RUN": {"mount": "values", "network": "value", "security": "value", "device": "values"},
    "COPY": {"from": "value", "parents": "switch", **_TRANSFER},
    "ADD": {"checksum": "value", "keep-git-dir": "switch", "unpack": "switch", **_TRANSFER},
    "HEALTHCHECK": {
        "interval": "value",
        "timeout": "value",
        "start-period": "value",
        "start-interval": "value",
        "retries": "value",
    },
}


class Flags:
    """The flags of one instruction, checked for name, value and repetition."""

    def __init__(self, statement: Statement) -> None:
        self._found: dict[str, list[tuple[str, Word]]] = {}
        known = _KNOWN.get(statement.keyword, {})
        for word in statement.head.flags:
            name, equals, value = word.text[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                raise _unknown(statement, word, name, known)
            if name in self._found and kind != "values":
                raise statement.error(f"the flag --{name} is given twice", word, "keep one of them")
            if kind == "switch":
                value = _switch(statement, word, name, value if equals else "true")
            elif not equals:
                raise statement.error(f"the flag --{name} needs a value", word, f"write --{name}=…")
            self._found.setdefault(name, []).append((value, word))

    def value(self, name: str) -> str | None:
        """Return the value of a flag, or None if it is not given."""
        found = self._found.get(name)
        return found[0][0] if found else None

    def values(self, name: str) -> list[tuple[str, Word]]:
        """Return every value of a flag, and where it stands."""
        return self._found.get(name, [])

    def switch(self, name: str) -> bool | None:
        """Return whether a switch is on, or None if it is not given."""
        value = self.value(name)
        return None if value is None else value == "true"


def _unknown(statement: Statement, word: Word, name: str, known: dict[str, Kind]) -> Exception:
    names = [f"--{flag}" for flag in known]
    otherwise = (
        f"{statement.keyword} takes {', '.join(names)}" if names else f"{statement.keyword} has no flags"
    )
    return statement.error(
        f"unknown flag --{name} of {statement.keyword}", word, did_you_mean(f"--{name}", names, otherwise)
    )


def _switch(statement: Statement, word: Word, name: str, value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise statement.error(f"invalid value {value!r} of the switch --{name}", word, "it is true or false")
    return value.lower()
