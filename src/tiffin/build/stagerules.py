"""The lint rules that need to know variables, stages and bases: run while a build is planned. Pure.

Like BuildKit's, they look at the stages that are planned: at those that a target
needs, and in a check without a target at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.build.graph import BaseImage
from tiffin.build.stages import StageEntry
from tiffin.dockerfile import ast
from tiffin.dockerfile.expand import expand, expand_words
from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.lint.syntax import keyword
from tiffin.errors import InvalidError
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.draft import Draft
    from tiffin.build.needs import Planned
    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.dockerfile.source import Span

_SECRET = re.compile(
    "(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
# What only tells of a secret: where it lies, which one it is, or the half that everybody may have.
_HARMLESS = re.compile("(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)
_ONLY_TARGET = re.compile(r"\$(?:TARGETPLATFORM|\{TARGETPLATFORM\})\Z")


def report_starts(dockerfile: ast.Dockerfile, defaults: Mapping[str, str], linter: Linter) -> None:
    """Report what is to be said of every FROM; `defaults` are the arguments if none is given."""
    for stage in dockerfile.stages:
        start = stage.start
        try:
            Reference.parse(_expanded(start.base, defaults, dockerfile.directives.escape))
        except InvalidError:
            linter.report(rules.INVALID_DEFAULT_ARG_IN_FROM, start.span, start.base)
        if start.platform is not None:
            _platform(start, start.platform, linter)


def _platform(start: ast.From, text: str, linter: Linter) -> None:
    if _ONLY_TARGET.match(text):
        linter.report(rules.REDUNDANT_TARGET_PLATFORM, start.span, text)
    if "$" in text:
        return
    try:
        platform = Platform.parse(text)
    except InvalidError:
        return  # the planner says so
    # A stage that is called after its platform is meant for it: build-arm64.
    if platform.os not in (start.name or "") and platform.architecture not in (start.name or ""):
        linter.report(rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, start.span, text)


class _Stage:
    """What was seen of a stage: the places of instructions of which only the last counts, and a WORKDIR."""

    def __init__(self, *, workdir: bool = False) -> None:
        self.places: dict[str, Span] = {}
        self.workdir = workdir


class StageRules:
    """Looks at each planned stage, instruction by instruction, before it changes the stage's draft."""

    def __init__(self, escape: str, linter: Linter) -> None:
        self._escape = escape
        self._linter = linter
        self._stages: dict[int, _Stage] = {}
        self._stage = _Stage()

    def begin(self, planned: Planned) -> None:
        """Go on with the next stage."""
        start = planned.start
        parent = self._stages[start.number] if isinstance(start, StageEntry) else None
        self._stage = self._stages[planned.entry.number] = _Stage(workdir=bool(parent and parent.workdir))
        if isinstance(start, BaseImage):
            self._base(planned.entry, start)

    def _base(self, entry: StageEntry, base: BaseImage) -> None:
        span = entry.stage.start.span
        found = base.config.platform.normalised()
        if base.known and entry.platform.rank(found) is None:
            self._linter.report(rules.INVALID_BASE_IMAGE_PLATFORM, span, entry.base, found, entry.platform)
        if self._linter.checking and base.reference == entry.base:  # and not a named context
            from tiffin.build.checkrules import report_unpinned

            report_unpinned(entry.base, span, self._linter)

    def see(self, draft: Draft, instruction: ast.Instruction, span: Span) -> None:
        """Report what is to be said of `instruction`, at `span`, in a stage that has come to `draft`."""
        match instruction:
            case ast.Cmd() | ast.Entrypoint():
                self._once(instruction, span)
                if isinstance(instruction.command, ast.ShellForm) and not draft.config.shell:
                    self._linter.report(rules.JSON_ARGS_RECOMMENDED, span, keyword(instruction))
            case ast.Healthcheck():
                self._once(instruction, span)
            case ast.Workdir():
                self._workdir(self._expanded(instruction.path, draft), span)
            case ast.Env():
                self._legacy(instruction, span)
                self._secrets("ENV", [self._expanded(key, draft) for key, _ in instruction.pairs], span)
            case ast.Label():
                self._legacy(instruction, span)
            case ast.Arg():
                self._secrets("ARG", [name for name, _ in instruction.declarations], span)
            case ast.Expose():
                self._ports(instruction, draft, span)
            case ast.Run() if self._linter.checking:
                from tiffin.build.checkrules import report_run

                report_run(instruction, draft.environment, self._linter)
            case _:
                pass

    def _once(self, instruction: ast.Cmd | ast.Entrypoint | ast.Healthcheck, span: Span) -> None:
        """Report the earlier one of two: it is the one that does not count."""
        word = keyword(instruction)
        earlier = self._stage.places.get(word.upper())
        if earlier is not None:
            self._linter.report(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, earlier, word)
        self._stage.places[word.upper()] = span

    def _workdir(self, path: str, span: Span) -> None:
        if not self._stage.workdir and not path.startswith("/"):
            self._linter.report(rules.WORKDIR_RELATIVE_PATH, span, path)
        self._stage.workdir = True

    def _legacy(self, instruction: ast.Env | ast.Label, span: Span) -> None:
        if instruction.legacy:
            self._linter.report(rules.LEGACY_KEY_VALUE_FORMAT, span, keyword(instruction))

    def _secrets(self, kind: str, names: list[str], span: Span) -> None:
        for name in names:
            if _SECRET.search(name) and not _HARMLESS.search(name):
                self._linter.report(rules.SECRETS_USED_IN_ARG_OR_ENV, span, kind, name)

    def _ports(self, instruction: ast.Expose, draft: Draft, span: Span) -> None:
        for text in sorted(instruction.ports):
            try:
                words = expand_words(text, draft.variables, escape=self._escape)
            except InvalidError:
                return  # the planner says so
            for word in words:
                protocol = word.rpartition("/")[2] if "/" in word else ""
                if protocol != protocol.lower():
                    self._linter.report(rules.EXPOSE_PROTO_CASING, span, word)
                if ":" in word:
                    self._linter.report(rules.EXPOSE_INVALID_FORMAT, span, word)

    def _expanded(self, word: str, draft: Draft) -> str:
        return _expanded(word, draft.variables, self._escape)


def _expanded(word: str, variables: Mapping[str, str], escape: str) -> str:
    """Return `word` expanded, or as it is if it cannot be: the planner says so."""
    try:
        return expand(word, variables, escape=escape).text
    except InvalidError:
        return word
