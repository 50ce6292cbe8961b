"""Variables of a build: where they come from, and words expanded with them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.dockerfile.expand import expand, expand_document, expand_words
from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.nearest import did_you_mean, nearest
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tiffin.dockerfile import ast
    from tiffin.dockerfile.expand import Expansion
    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.dockerfile.lint.rule import Rule
    from tiffin.dockerfile.source import Span
    from tiffin.oci.platform import Platform

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
# Arguments that speak to the builder itself, so no ARG has to declare them.
_FOR_THE_BUILDER = ("SOURCE_DATE_EPOCH",)


class Expander:
    """Expands words of a Dockerfile, and reports variables that are not set to `linter`.

    It does not while `certain` is false: what a stage begins from could not be read.
    """

    def __init__(self, escape: str, linter: Linter) -> None:
        self._escape = escape
        self._linter = linter
        self.certain = True

    def word(
        self,
        text: str,
        variables: Mapping[str, str],
        span: Span,
        declared: Collection[str] = (),
        rule: Rule | None = rules.UNDEFINED_VAR,
    ) -> str:
        """Return `text` expanded; variables without a value break `rule`. Raises InvalidError at `span`."""
        try:
            expansion = expand(text, variables, escape=self._escape)
        except InvalidError as error:
            raise _at(error, span) from None
        self._note(expansion, variables, span, declared, rule)
        return expansion.text

    def words(self, text: str, variables: Mapping[str, str], span: Span) -> list[str]:
        """Return the words that `text` becomes. Raises InvalidError at `span`."""
        try:
            return expand_words(text, variables, escape=self._escape)
        except InvalidError as error:
            raise _at(error, span) from None

    def document(
        self, text: str, variables: Mapping[str, str], span: Span, declared: Collection[str] = ()
    ) -> str:
        """Return the here-document `text` expanded. Raises InvalidError at `span`."""
        try:
            expansion = expand_document(text, variables)
        except InvalidError as error:
            raise _at(error, span) from None
        self._note(expansion, variables, span, declared, rules.UNDEFINED_VAR)
        return expansion.text

    def _note(
        self,
        expansion: Expansion,
        variables: Mapping[str, str],
        span: Span,
        declared: Collection[str],
        rule: Rule | None,
    ) -> None:
        if rule is None or not self.certain:
            return
        sign = "$" if rule is rules.UNDEFINED_VAR else ""
        for name in sorted(expansion.unset):
            if name.isidentifier() and name not in declared:
                near = nearest(name, (*variables, *declared))
                self._linter.report(rule, span, name, f" (did you mean {sign}{near}?)" if near else "")


def _at(error: InvalidError, span: Span) -> InvalidError:
    error.where = error.where or span.where
    return error


def platform_arguments(host: Platform, target: Platform, target_stage: str) -> dict[str, str]:
    """Return the arguments that are there without being given; a stage sees what it declares.

    `host` is the platform that the build runs on, `target` the one that it is for.
    """
    found: dict[str, str] = {}
    for side, platform in (("BUILD", host), ("TARGET", target)):
        found |= {
            f"{side}PLATFORM": str(platform),
            f"{side}OS": platform.os,
            f"{side}OSVERSION": platform.os_version,
            f"{side}ARCH": platform.architecture,
            f"{side}VARIANT": platform.variant,
        }
    return found | {"TARGETSTAGE": target_stage}


def global_arguments(
    declared: tuple[ast.Arg, ...], built_in: Mapping[str, str], given: Mapping[str, str], expander: Expander
) -> dict[str, str]:
    """Return the arguments before the first FROM: a given value wins, a default may use earlier ones."""
    values = {name: given.get(name, value) for name, value in built_in.items()}
    for instruction in declared:
        for name, default in instruction.declarations:
            if name in given:
                values[name] = given[name]
            elif default is not None:
                values[name] = expander.word(default, values, instruction.span, rule=None)
    return values


def proxies(given: Mapping[str, str]) -> dict[str, str]:
    """Return the predefined proxy arguments that are given, in both spellings."""
    values: dict[str, str] = {}
    for name in _PROXIES:
        value = given.get(name, given.get(name.lower()))
        if value is not None:
            values |= {name: given.get(name, value), name.lower(): given.get(name.lower(), value)}
    return values


def report_undeclared(
    dockerfile: ast.Dockerfile, given: Mapping[str, str], built_in: Mapping[str, str], linter: Linter
) -> None:
    """Report each given argument that nothing asks for."""
    found = {name for instruction in _arguments(dockerfile) for name, _ in instruction.declarations}
    known = {*found, *built_in, *_PROXIES, *map(str.lower, _PROXIES), *_FOR_THE_BUILDER}
    for name in given:
        if name not in known and not name.startswith("BUILDKIT_"):
            hint = did_you_mean(name, found, "declare it with ARG")
            linter.report(rules.UNUSED_BUILD_ARG, None, name, hint)


def _arguments(dockerfile: ast.Dockerfile) -> list[ast.Arg]:
    from tiffin.dockerfile.ast import Arg

    bodies = (stage.instructions for stage in dockerfile.stages)
    return [*dockerfile.arguments, *(each for body in bodies for each in body if isinstance(each, Arg))]
