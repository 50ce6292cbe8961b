"""The lint rules about files: what a COPY takes from a build context, and what a step leaves in its layer.

They look at what the solver has read anyhow, by names and sizes; of files only
`.gitignore` is opened, and that only if much is copied.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tiffin.build.graph import MAIN, Copy, Local
from tiffin.build.secretfiles import ENDINGS, IN_FOLDERS, NAMES, is_secret
from tiffin.build.stepnames import instruction_of
from tiffin.dockerfile.lint import rules
from tiffin.dockerfile.match import has_wildcard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tiffin.build.context import Context
    from tiffin.build.graph import Graph, Vertex
    from tiffin.build.selection import Selected
    from tiffin.dockerfile.ast import Dockerfile
    from tiffin.dockerfile.ignore import IgnoreRules, Rule
    from tiffin.dockerfile.lint.linter import Linter
    from tiffin.dockerfile.lint.rule import Finding
    from tiffin.dockerfile.lint.rule import Rule as LintRule
    from tiffin.dockerfile.source import Span
    from tiffin.layer.diff import Repeated
    from tiffin.linux.files import RootPath
    from tiffin.snapshot.merged import Node

MUCH = 100_000_000
"""Bytes from which on it is worth a word that files are copied, or kept again."""

_GIT = ".git"
_SHOWN = 3  # files that a message names
# Patterns without a star that are hardly ever meant for the root alone.
_EVERYWHERE = frozenset({"node_modules", "venv"})


class Inspector:
    """Looks at the files of one build, for which `linter` speaks; `told` gets each finding at once.

    `wanted` are the vertices of the images: what is copied into a stage that is no part of one stays behind.
    Safe for threads.
    """

    def __init__(
        self,
        graph: Graph,
        wanted: Iterable[int],
        dockerfile: Dockerfile,
        linter: Linter,
        told: Callable[[Finding], None],
    ) -> None:
        self._graph = graph
        self._dockerfile = dockerfile
        self._linter = linter
        self._told = told
        self._kept = {index for result in wanted for index in _chain(graph, result)}

    def copied(self, index: int, context: Context, selection: Sequence[Selected]) -> None:
        """See what the copy `index` takes from `context`."""
        vertex = self._graph.vertices[index]
        span = span_of(vertex, self._dockerfile)
        wild = isinstance(vertex.op, Copy) and any(map(has_wildcard, vertex.op.sources))
        patterns = _patterns_at_root(context.rules)
        names = NAMES | IN_FOLDERS.keys() | {_GIT, *(rule.pattern for rule in patterns)}
        endings = ENDINGS | {rule.pattern.rpartition(".")[2] for rule in patterns if rule.pattern[0] == "*"}
        total, hits = 0, []
        for chosen in selection:
            for node in (chosen.node, *chosen.below):
                total += node.status.st_size
                name = node.path.rpartition("/")[2]
                if name in names or name.rpartition(".")[2] in endings or name.startswith(".env."):
                    hits.append(node)
        if index in self._kept:
            self._secrets(hits, span)
            named = set() if wild else {chosen.node.path for chosen in selection}
            self._history(hits, named, selection, span)
        self._at_root_only(patterns, hits, selection, span)
        if total >= MUCH and self._linter.wants(rules.COPY_GIT_IGNORED_FILES, span):
            from tiffin.build.gitcontext import ignored_bytes

            ignored = ignored_bytes(context, selection, wild=wild)
            much = sum(ignored.values())
            if much >= MUCH:
                where = sorted(ignored, key=lambda path: -ignored[path])
                self._report(rules.COPY_GIT_IGNORED_FILES, span, _size(much), _size(total), _listed(where))

    def repeated(self, index: int, repeated: Repeated) -> None:
        """See that the layer of the step `index` holds files again whose content is as it was below."""
        if repeated.size >= MUCH:
            span = span_of(self._graph.vertices[index], self._dockerfile)
            self._report(rules.FILES_REPEATED_IN_LAYER, span, _size(repeated.size), _files(repeated.files))

    def _report(self, rule: LintRule, span: Span | None, *words: object) -> None:
        finding = self._linter.report(rule, span, *words)
        if finding is not None:
            self._told(finding)

    def _secrets(self, hits: Sequence[Node], span: Span | None) -> None:
        found = [node.path[1:] for node in hits if stat.S_ISREG(node.status.st_mode) and is_secret(node.path)]
        if found:
            self._report(rules.COPY_SECRET_FILE, span, _listed(found))

    def _history(
        self, hits: Sequence[Node], named: set[RootPath], selection: Sequence[Selected], span: Span | None
    ) -> None:
        """Report folders of history that are not `named` themselves, for then they are meant."""
        found = [node.path for node in hits if node.is_directory and node.path.endswith(f"/{_GIT}")]
        folders = [path for path in found if path not in named]
        if folders:
            size = sum(node.status.st_size for node in _below(folders, selection))
            self._report(rules.COPY_GIT_DIRECTORY, span, _listed([f[1:] for f in folders]), _size(size))

    def _at_root_only(
        self, patterns: Sequence[Rule], hits: Sequence[Node], selection: Sequence[Selected], span: Span | None
    ) -> None:
        for rule in patterns:
            tops = [node for node in hits if _is_meant(rule.pattern, node.path.rpartition("/")[2])]
            folders = [node.path for node in tops if node.is_directory]
            files = [node for node in tops if not node.is_directory] + list(_below(folders, selection))
            if files:
                size = sum(node.status.st_size for node in files)
                words = (rule.text, rule.line, rule.file, _files(len(files)), _size(size), files[0].path[1:])
                self._report(rules.IGNORE_PATTERN_AT_ROOT_ONLY, span, *words, rule.pattern)


def report_ignored(graph: Graph, dockerfile: Dockerfile, ignored: IgnoreRules, linter: Linter) -> None:
    """Report sources that `ignored`, the rules of the main context, leave out of it.

    What is brought back by a `!` may be anywhere, so with such a rule nothing is said.
    """
    if not linter.wants(rules.COPY_IGNORED_FILE) or any(rule.keeps for rule in ignored.rules):
        return
    for vertex in graph.vertices:
        text = instruction_of(vertex.name).removeprefix("ONBUILD ")
        keyword = "Add" if text.startswith("ADD ") else "Copy"
        for name, source in local_sources(graph, vertex):
            path = source.strip("/")
            if name == MAIN and ignored.match(path):
                span = span_of(vertex, dockerfile)
                linter.report(rules.COPY_IGNORED_FILE, span, keyword, path)


def local_sources(graph: Graph, vertex: Vertex) -> Iterator[tuple[str, str]]:
    """Yield what a copy takes from build contexts: the name of a context, and the source as it is written."""
    op = vertex.op
    if not isinstance(op, Copy):
        return
    inputs = [each.input for each in op.taken] or [1] * len(op.sources)
    for source, number in zip(op.sources, inputs, strict=True):
        origin = graph.vertices[vertex.inputs[number]].op
        if isinstance(origin, Local):
            yield origin.name, source


def span_of(vertex: Vertex, dockerfile: Dockerfile) -> Span | None:
    """Return the place of the instruction that `vertex` is made from."""
    return dockerfile.span_at(vertex.where.line) if vertex.where else None


def _chain(graph: Graph, result: int) -> Iterator[int]:
    """Yield the vertices whose layers are those of `result`."""
    yield result
    while inputs := graph.vertices[result].inputs:
        result = inputs[0]
        yield result


def _patterns_at_root(ignored: IgnoreRules) -> list[Rule]:
    """Return the rules that people mean for every folder, and that hold at the root only.

    Git would take them so, and there is hardly another meaning: `*.pyc`, `__pycache__`, `.env`.
    """
    found = []
    for rule in ignored.rules:
        pattern = rule.pattern
        if rule.keeps or "/" in pattern or "**" in pattern:
            continue
        plain = pattern.removeprefix("*.")
        if plain and not set("*?[\\") & set(plain):
            hidden = pattern.startswith((".", "__", "*.")) and pattern not in (".", "..")
            if hidden or pattern in _EVERYWHERE:
                found.append(rule)
    return found


def _is_meant(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern[0] == "*" else name == pattern


def _below(folders: Sequence[str], selection: Sequence[Selected]) -> Iterator[Node]:
    """Yield what is no folder and lies below one of `folders`."""
    starts = tuple(f"{folder}/" for folder in folders)
    if starts:
        for chosen in selection:
            yield from (n for n in chosen.below if not n.is_directory and n.path.startswith(starts))


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _size(count: int) -> str:
    """Return a number of bytes in words: `13.2GB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g}{unit}" if value < 999.5 else f"{value:.0f}{unit}"
