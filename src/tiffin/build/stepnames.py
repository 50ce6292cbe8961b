"""How progress speaks of the steps of a build. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.dockerfile import ast

if TYPE_CHECKING:
    from tiffin.build.draft import Draft
    from tiffin.oci.platform import Platform

_TARGET = frozenset({"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT"})


class StepNames:
    """Names the steps of a stage: `[train 2/5] RUN …`, with platforms `[linux/arm64 train 2/5] RUN …`."""

    def __init__(self, labels: tuple[str, ...], total: int, target: Platform | None) -> None:
        self._labels = labels
        self._total = total
        self._count = 0
        self._target = target

    def name(self, text: str, draft: Draft | None = None) -> str:
        """Return the name of the next step; one that sees the target's platform names it too, if another."""
        self._count += 1
        first, *more = (*self._labels, f"{self._count:{len(str(self._total))}}/{self._total}")
        if draft is not None and self._target is not None and not _TARGET.isdisjoint(draft.declared):
            first += _arrow(draft.platform, self._target)
        return f"[{' '.join((first, *more))}] {text}"


def _arrow(own: Platform, target: Platform) -> str:
    if own == target:
        return ""
    return f"->{target}" if own.os != target.os else f"->{str(target).partition('/')[2]}"


def instruction_of(name: str) -> str:
    """Return the instruction that the name of a step shows: without the stage and the numbers in front."""
    return name.partition("] ")[2] or name


def shown(instruction: ast.Run | ast.Copy | ast.Add | ast.Workdir) -> str:
    """Return what progress shows: the keyword in capitals, a here-document by its first line."""
    keyword, _, rest = instruction.text.partition(" ")
    text = f"{keyword.upper()} {rest}"
    if isinstance(instruction, ast.Run) and instruction.whole:
        first, *more = instruction.documents[0].content.strip().splitlines() or [""]
        text += f" ({first}{'…' if more else ''})"
    if isinstance(instruction, ast.Add) and "@" in text:
        from tiffin.build.giturl import without_login

        return without_login(text)
    return text
