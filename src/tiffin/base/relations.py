"""Dependencies between packages as values (Debian policy, chapter 7). Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from tiffin.base.versions import satisfies
from tiffin.errors import InvalidError

_FORM: Final = re.compile(
    r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)(?![<>=])\s*(?P<version>[^\s()]+)\s*\))?"
    r"(?:\s*\[[^\]]*\])?(?:\s*<[^>]*>)*"
)


class Relation(NamedTuple):
    """One package that is wanted, with the versions that will do."""

    name: str
    operator: str = ""
    version: str = ""
    architecture: str = ""

    def accepts(self, version: str | None) -> bool:
        """Whether a package of that version will do; None is a name provided without a version."""
        if not self.operator:
            return True
        return version is not None and satisfies(version, self.operator, self.version)

    def __str__(self) -> str:
        name = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name


Clause = tuple[Relation, ...]


def clause_text(clause: Clause) -> str:
    """The alternatives as a control file has them."""
    return " | ".join(map(str, clause))


@lru_cache(maxsize=8192)
def parse_relations(text: str) -> tuple[Clause, ...]:
    """The clauses of a dependency field, each a tuple of alternatives."""
    clauses = (part.strip() for part in text.split(","))
    return tuple(tuple(_relation(word.strip()) for word in clause.split("|")) for clause in clauses if clause)


def _relation(text: str) -> Relation:
    form = _FORM.fullmatch(text)
    if form is None:
        raise InvalidError(f"{text[:120]!r} is not a relation to a package", code="package-relation")
    return Relation(form["name"], form["operator"] or "", form["version"] or "", form["architecture"] or "")
