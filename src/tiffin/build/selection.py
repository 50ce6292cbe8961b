"""What a COPY takes: patterns of an instruction → entries of a tree, read once.

The same selection is hashed for the cache key and, on a miss, copied, so the
tree is walked one time. Rules of BuildKit: a link that is named is followed
inside the tree's root, links below a named directory stay links; a name that
does not exist or is a link to nowhere is an error, a wildcard that matches nothing is not.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile.ignore import IgnoreRules, may_match_below
from tiffin.dockerfile.match import has_wildcard, match, unescape
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.snapshot.merged import MergedTree, Node

PIVOT = "/./"
_ALL = "."

_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


class Selected(NamedTuple):
    """One thing to copy: its name, the entry it leads to, and all that is below it, parents first.

    Of a directory that is `partial` only what is below was named, not itself.
    """

    name: str
    node: Node
    below: tuple[Node, ...] = ()
    partial: bool = False


def select(
    tree: MergedTree, patterns: Sequence[str], *, exclude: Sequence[str] = (), parents: bool = False
) -> list[Selected]:
    """Return what `patterns` name in `tree`, in their order. Raises NotFoundError for a plain name.

    What `exclude` matches is left out; its patterns are those of an ignore
    file, seen from each source. With `parents` the patterns are such as well,
    and an entry keeps its path, from the root or from where `/./` stands.
    """
    rules = IgnoreRules.of(exclude)
    if parents:
        return [chosen for pattern in patterns for chosen in _with_parents(tree, pattern, rules)]
    found = []
    for pattern in patterns:
        wild = has_wildcard(pattern)
        for name in list(expand(tree, pattern)) if wild else [unescape(pattern)]:
            node = tree.resolve(name).node
            if node is None:
                raise _not_found(name if wild else pattern)
            last = name.rstrip("/").rpartition("/")[2]
            if not (wild and rules.match(last)):
                found.append(Selected(last, node, _below(tree, node, rules)))
    return found


def _below(
    tree: MergedTree, top: Node, rules: IgnoreRules, wanted: IgnoreRules | None = None
) -> tuple[Node, ...]:
    if not top.is_directory:
        return ()
    return tuple(_Chooser(tree, top, rules, wanted).walk(top) if rules or wanted else tree.walk(top))


class _Chooser(NamedTuple):
    """Chooses below `top` what `wanted` matches (None: all) and `rules` do not, and the directories to it."""

    tree: MergedTree
    top: Node
    rules: IgnoreRules
    wanted: IgnoreRules | None

    def walk(self, directory: Node) -> Iterator[Node]:
        """Yield what is chosen below `directory`, parents first."""
        prefix = len(self.top.path.rstrip("/")) + 1
        for node in self.tree.children(directory):
            path = node.path[prefix:]
            excluded = self.rules.match(path)
            named = self.wanted is None or self.wanted.match(path)
            if named and not excluded:
                yield node
                if node.is_directory:
                    yield from self.walk(node)
            elif node.is_directory and self._may_contain(path, named=named, excluded=excluded):
                inner = list(self.walk(node))
                if inner:
                    yield node
                    yield from inner

    def _may_contain(self, path: str, *, named: bool, excluded: bool) -> bool:
        if excluded and not self.rules.may_contain(path):
            return False
        return named or (
            self.wanted is not None and any(may_match_below(rule.pattern, path) for rule in self.wanted.rules)
        )


def _with_parents(tree: MergedTree, source: str, rules: IgnoreRules) -> Iterator[Selected]:
    """Yield the directories before `/./` with what the rest of `source` matches below them."""
    start, pivot, pattern = source.partition(PIVOT) if PIVOT in source else (_ALL, "", source)
    wanted = None if pattern == _ALL else IgnoreRules.of([pattern])
    found = False
    for name in list(expand(tree, start)) if has_wildcard(start) else [unescape(start)]:
        top = tree.resolve(name).node
        below = _below(tree, top, rules, wanted) if top is not None else ()
        if top is not None and below:
            found = True
            yield Selected("", top, below, partial=True)
    if not found and not has_wildcard(source):
        raise _not_found(source.replace(pivot, "/") if pivot else source)


def _not_found(pattern: str) -> NotFoundError:
    return NotFoundError(f"{pattern} does not exist", code="source-not-found")


def expand(tree: MergedTree, pattern: str) -> Iterator[str]:
    """Yield the paths in `tree` that match `pattern`, part by part, by name."""
    if tree.root is None:
        return
    parts: list[str] = []
    for part in pattern.split("/"):
        if part == "..":
            parts[-1:] = []  # above the root is the root
        elif part not in ("", "."):
            parts.append(part)
    yield from _expand(tree, tree.root, parts)


def _expand(tree: MergedTree, directory: Node, parts: list[str]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    for node in tree.children(directory):
        if not match(part, node.path.rpartition("/")[2]):
            continue
        if not rest:
            yield node.path
        else:
            inner = tree.resolve(node.path).node if node.is_link else node
            if inner is not None and inner.is_directory:
                yield from _expand(tree, inner, rest)


def kind(mode: int) -> str:
    """Return one letter for the kind of an entry: f, d, l, p, c, b, or s for what is none of them."""
    return _KINDS.get(stat.S_IFMT(mode), "s")
