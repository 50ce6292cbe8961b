"""Build contexts: a folder as the tree that COPY sees, without what is ignored.

Nothing is copied or uploaded: entries are read where they lie, when a COPY
names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import NotFoundError
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.dockerfile.ignore import IgnoreRules
    from tiffin.snapshot.merged import Node


class Context:
    """A build context: its folder, its rules of what to leave out, and the tree that remains.

    `name` is how to speak of it; one that is `passing` is gone after the build.
    """

    def __init__(self, folder: Path, rules: IgnoreRules, name: str = "", *, passing: bool = False) -> None:
        self.folder = folder
        self.rules = rules
        self.name = name or str(folder)
        self.passing = passing
        self.tree = MergedTree([folder], self._hides if rules else None)

    def _hides(self, node: Node) -> bool:
        """Whether `node` is ignored; a directory is kept when something below it is."""
        relative = node.path[1:]
        if not self.rules.match(relative):
            return False
        if not node.is_directory or not self.rules.may_contain(relative):
            return True
        return not self.tree.children(node)

    def hides_below(self, directory: Node) -> bool:
        """Whether anything below `directory` is ignored."""
        if not self.rules or not directory.is_directory:
            return False
        return any(self._hides(node) for node in MergedTree([self.folder]).walk(directory))

    def missing(self, pattern: str) -> NotFoundError:
        """Return the error for `pattern`, which names nothing here: ignored by which rule, or not there."""
        relative = pattern.strip("/")
        rule = self.rules.explain(relative) if self.rules else None
        if rule is not None and MergedTree([self.folder]).resolve(relative).node is not None:
            return NotFoundError(
                f"{pattern} is in the build context, but line {rule.line} of {rule.file} ({rule.text}) "
                "leaves it out",
                code="source-ignored",
                hint=f"remove that line, or add `!{relative}` below it",
            )
        return NotFoundError(
            f"{pattern} does not exist in the build context {self.name}",
            code="source-not-found",
            hint="paths of COPY and ADD begin at the context, the folder given to `tiffin build`, "
            "and `..` does not lead out of it",
        )
