"""What a COPY takes: patterns of an instruction → entries of a tree, read once.

The same selection is hashed for the cache key and, on a miss, copied, so the
tree is walked one time. Rules of BuildKit: a link that is named is followed
inside the tree's root, links below a named directory stay links; a name that
does not exist is an error, a wildcard that matches nothing is not.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from tiffin.dockerfile.match import has_wildcard, match, unescape
from tiffin.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.snapshot.merged import MergedTree, Node

_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
}


class Selected(NamedTuple):
    """One thing to copy: its name, the entry it leads to, and all that is below it, parents first."""

    name: str
    node: Node
    below: tuple[Node, ...] = ()


def select(tree: MergedTree, patterns: Sequence[str]) -> list[Selected]:
    """Return what `patterns` name in `tree`, in their order. Raises NotFoundError for a plain name."""
    found = []
    for pattern in patterns:
        names = list(expand(tree, pattern)) if has_wildcard(pattern) else [unescape(pattern)]
        for name in names:
            node = tree.resolve(name).node
            if node is None:
                if has_wildcard(pattern):
                    continue  # a link that leads nowhere
                raise NotFoundError(f"{pattern} does not exist", code="source-not-found")
            below = tuple(tree.walk(node)) if node.is_directory else ()
            found.append(Selected(name.rstrip("/").rpartition("/")[2], node, below))
    return found


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
