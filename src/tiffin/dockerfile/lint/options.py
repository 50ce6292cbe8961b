"""What `# check=` says: which rules are left out or asked for, and whether a finding is an error. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.booleans import EITHER, TRUE
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.dockerfile.lint.rule import Rule
    from tiffin.errors import Where

BUILD_ARG = "BUILDKIT_DOCKERFILE_CHECK"
ALL = "all"

_KEYS = ("skip", "error", "experimental")
_FORM = "write check=skip=RULE,RULE;error=true;experimental=RULE, or `all` for the rules"


class Options(NamedTuple):
    """The parsed value; among the names of rules may be `all`."""

    skip: frozenset[str] = frozenset()
    error: bool = False
    experimental: frozenset[str] = frozenset()

    def allows(self, rule: Rule) -> bool:
        """Whether findings of `rule` are wanted. Skipping takes no experimental one that was asked for."""
        if rule.experimental:
            return not self.experimental.isdisjoint((rule.name, ALL))
        return self.skip.isdisjoint((rule.name, ALL))

    def merged(self, other: Options) -> Options:
        """Return both together."""
        return Options(
            self.skip | other.skip, self.error or other.error, self.experimental | other.experimental
        )


def parse_options(text: str, where: Where | None = None) -> Options:
    """Return what `text`, the value of a directive or build argument, says. Raises InvalidError."""
    if not text.strip():
        return Options()
    names: dict[str, frozenset[str]] = {}
    error = False
    for part in text.strip().split(";"):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in _KEYS:
            raise _invalid(f"invalid check option {key or part!r}", where, did_you_mean(key, _KEYS, _FORM))
        if key == "error":
            if value not in EITHER:
                raise _invalid(f"invalid value {value!r} of the check option error", where, "true or false")
            error = value in TRUE
        else:
            names[key] = frozenset(name.strip() for name in value.split(","))
    return Options(names.get("skip", frozenset()), error, names.get("experimental", frozenset()))


def _invalid(message: str, where: Where | None, hint: str) -> InvalidError:
    return InvalidError(message, code="check-option", where=where, hint=hint)
