"""Variables in a word: `$NAME`, `${NAME}` and every modifier, quotes and escapes. Pure.

As the Dockerfile reference has it, which is a subset of what a shell does:
`${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p}
${x/p/r} ${x//p/r}`, where w, p and r are expanded in turn. What the shell's
quotes protect is protected; the quotes and escapes themselves go away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile import globs
from tiffin.dockerfile.words import SPACE
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = "@*#?-$!"
_DEEPEST = 50


class Expansion(NamedTuple):
    """A word after expansion, and the names it asked for that are not set and have no substitute."""

    text: str
    unset: frozenset[str] = frozenset()


def expand(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> Expansion:
    """Return `word` with its variables expanded, its quotes and escapes taken away. Raises InvalidError."""
    scanner = _Scanner(word, variables, escape)
    return scanner.expansion(scanner.until(""))


def expand_words(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> list[str]:
    """Return the words that `word` becomes: what is not quoted is split at blanks. Raises InvalidError."""
    return _Scanner(word, variables, escape).words()


def expand_document(text: str, variables: Mapping[str, str]) -> Expansion:
    """Return a here-document with its variables expanded. Raises InvalidError.

    Quotes stay and protect nothing; a backslash goes away, and what follows it is plain.
    """
    scanner = _Scanner(text, variables, "\\", document=True)
    return scanner.expansion(scanner.until(""))


class _Scanner:
    """Reads a word from left to right; methods take what they read and return its expansion."""

    def __init__(
        self, word: str, variables: Mapping[str, str], escape: str, *, document: bool = False
    ) -> None:
        self.word = word
        self.variables = variables
        self.escape = escape
        self.document = document
        self.offset = 0
        self.depth = 0
        self.unset: set[str] = set()

    def expansion(self, text: str) -> Expansion:
        return Expansion(text, frozenset(self.unset))

    def _peek(self) -> str:
        return self.word[self.offset : self.offset + 1]

    def _next(self) -> str:
        self.offset += 1
        return self.word[self.offset - 1 : self.offset]

    def words(self) -> list[str]:
        words = [""]
        while self.offset < len(self.word):
            plain = self._peek() not in ("'", '"', self.escape)
            text = self._piece(raw=False)
            for character in text:
                if plain and character in SPACE:
                    words.append("")
                else:
                    words[-1] += character
        return [word for word in words if word]

    def until(self, closer: str, *, raw: bool = False) -> str:
        """Return what comes before `closer`, expanded; take `closer`. `raw` keeps escapes, for patterns."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._invalid("substitutions are nested too deeply", f"{_DEEPEST} levels are the limit")
        parts: list[str] = []
        while self.offset < len(self.word):
            if self._peek() == closer:
                self.offset += 1
                self.depth -= 1
                return "".join(parts)
            parts.append(self._piece(raw=raw))
        if closer:
            raise self._invalid(f"missing {closer!r} in a substitution")
        return "".join(parts)

    def _piece(self, *, raw: bool) -> str:
        character = self._next()
        if character == "$":
            return self._dollar()
        if character == self.escape:
            return self._escaped(raw=raw)
        if character == "'" and not self.document:
            return self._single_quoted()
        if character == '"' and not self.document:
            return self._double_quoted(raw=raw)
        return character

    def _escaped(self, *, raw: bool) -> str:
        following = self._next()
        return self.escape + following if raw else following

    def _single_quoted(self) -> str:
        end = self.word.find("'", self.offset)
        if end < 0:
            raise self._invalid("a single quote has no end")
        text = self.word[self.offset : end]
        self.offset = end + 1
        return text

    def _double_quoted(self, *, raw: bool) -> str:
        parts: list[str] = []
        while self.offset < len(self.word):
            character = self._next()
            if character == '"':
                return "".join(parts)
            if character == "$":
                parts.append(self._dollar())
            elif character == self.escape and self._peek() in ('"', "$", self.escape, ""):
                parts.append((self.escape if raw else "") + self._next())
            else:
                parts.append(character)
        raise self._invalid("a double quote has no end")

    def _dollar(self) -> str:
        if self._peek() == "{":
            self.offset += 1
            return self._substitution()
        name = self._name()
        return self._value(name) if name else "$"

    def _name(self) -> str:
        start = self.offset
        first = self._peek()
        if first and first in _SPECIAL:
            return self._next()
        while self._peek() and (self._peek().isalnum() or self._peek() == "_"):
            if first.isdecimal() and not self._peek().isdecimal():
                break
            self.offset += 1
        return self.word[start : self.offset]

    def _value(self, name: str) -> str:
        value = self.variables.get(name)
        if value is None:
            self.unset.add(name)
            return ""
        return value

    def _substitution(self) -> str:
        """Expand what follows `${`."""
        if self._peek() in ("{", "}", ":"):
            raise self._invalid("bad substitution", "write ${NAME}")
        name = self._name()
        operator = self._next()
        if operator == "}":
            return self._value(name)
        if operator in ("#", "%"):
            return self._strip(name, operator)
        if operator == "/":
            return self._replace(name)
        empty_counts = operator != ":"
        if not empty_counts:
            operator = self._next()
        if not operator:
            raise self._invalid("missing '}' in a substitution")
        if operator not in "+-?":
            raise self._invalid(
                f"unsupported modifier {'' if empty_counts else ':'}{operator} in a substitution",
                "known are :- - :+ + :? ? # ## % %% / //",
            )
        return self._choose(name, operator, empty_counts=empty_counts)

    def _choose(self, name: str, operator: str, *, empty_counts: bool) -> str:
        word = self.until("}")
        value = self.variables.get(name)
        there = value is not None and (empty_counts or value != "")
        if operator == "+":
            return word if there else ""
        if there:
            return value or ""
        if operator == "-":
            return word
        state = "unset" if value is None else "empty"
        raise InvalidError(
            f"{name}: {word or f'must not be {state}'}",
            code="variable-required",
            hint=f"give it with --build-arg {name}=…, if ARG declares it",
        )

    def _strip(self, name: str, operator: str) -> str:
        longest = self._peek() == operator
        if longest:
            self.offset += 1
        pattern = self._pattern("}")
        value = self._value(name)
        strip = globs.strip_prefix if operator == "#" else globs.strip_suffix
        return strip(pattern, value, longest=longest)

    def _replace(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self.offset += 1
        pattern = self._pattern("/")
        replacement = self.until("}", raw=True)
        return globs.replace(pattern, self._value(name), replacement, every=every)

    def _pattern(self, closer: str) -> globs.Pattern:
        text = self.until(closer, raw=True)
        try:
            return globs.parse_pattern(text)
        except ValueError as error:
            raise self._invalid(f"invalid pattern {text!r} in a substitution: {error}") from error

    def _invalid(self, message: str, hint: str = "") -> InvalidError:
        shown = self.word if len(self.word) <= 80 else self.word[:80] + "…"
        return InvalidError(f"{message}: {shown}", code="invalid-substitution", hint=hint)
