"""Collects what rules find in one Dockerfile, and leaves out what its author does not want to hear. Pure.

Rules that need no more than the text are run by `syntax`. Those that need
variables, stages or files are run where these are known, and report here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.dockerfile.lint.options import BUILD_ARG, Options, parse_options
from tiffin.dockerfile.lint.rule import Finding, Rule
from tiffin.dockerfile.words import SPACE
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.source import Span

_INLINE = re.compile(r"check\s*=\s*(\S+)", re.IGNORECASE)


def is_directive(comment: str) -> bool:
    """Whether a comment above an instruction is a directive for that instruction, and no description."""
    return _INLINE.match(comment) is not None


class Linter:
    """The findings of one build or check. `checking` says that it is a check, for which some rules are."""

    def __init__(
        self,
        options: Options | None = None,
        comments: Mapping[int, tuple[str, ...]] | None = None,
        *,
        checking: bool = False,
    ) -> None:
        self.options = options or Options()
        self.checking = checking
        self._comments = comments or {}
        self._findings: dict[Finding, None] = {}

    @classmethod
    def of(cls, dockerfile: Dockerfile, build_args: Mapping[str, str], *, checking: bool = False) -> Linter:
        """Return the linter that the directive, or in its place the build argument, asks for.

        Raises InvalidError for options that are none.
        """
        given = build_args.get(BUILD_ARG)
        options = _of_directive(dockerfile) if given is None else parse_options(given)
        return cls(options, dockerfile.comments, checking=checking)

    @property
    def findings(self) -> list[Finding]:
        """All findings in the order of their lines, those without a place first."""
        return sorted(self._findings, key=lambda each: each.span.line if each.span else 0)

    @property
    def failing(self) -> list[str]:
        """The names of the rules whose findings are errors here, sorted."""
        if not self.options.error:
            return []
        return sorted({finding.rule.name for finding in self._findings if not finding.rule.house})

    def wants(self, rule: Rule, span: Span | None = None) -> bool:
        """Whether a finding of `rule` at `span` would be kept: for rules that are costly to look after."""
        if rule.check_only and not self.checking:
            return False
        return self._options(span).allows(rule)

    def report(self, rule: Rule, span: Span | None, *words: object) -> Finding | None:
        """Keep a finding, `words` filled into the rule's message, and return it; None if it is not wanted."""
        if not self.wants(rule, span):
            return None
        finding = Finding(rule, rule.message.format(*words), span)
        self._findings[finding] = None
        return finding

    def _options(self, span: Span | None) -> Options:
        """The options at `span`: a comment `# check=` right above an instruction is for it alone."""
        options = self.options
        for comment in self._comments.get(span.line, ()) if span else ():
            match = _INLINE.match(comment)
            if match is not None:
                try:
                    return options.merged(parse_options(match[1]))
                except InvalidError:
                    return options  # a comment is no directive: what it says wrongly is said to people
        return options


def _of_directive(dockerfile: Dockerfile) -> Options:
    directives, source = dockerfile.directives, dockerfile.source
    for number in range(1, directives.lines + 1):
        if source.line(number).lstrip("#" + SPACE).lower().startswith("check"):
            # What follows a blank is a remark.
            return parse_options((directives.check or "").split()[0], source.whole_line(number).where)
    return Options()
