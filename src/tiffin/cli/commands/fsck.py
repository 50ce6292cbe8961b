"""tiffin system fsck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag, value
from tiffin.cli.output import print_document
from tiffin.ui.columns import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.engine.fsck import Report


def run(session: Session, arguments: Arguments) -> int:
    """Read the whole store and tell what is damaged; 1 if something is, and was not mended."""
    from tiffin.engine.fsck import fsck

    repair = arguments.flag("repair")
    with session.engine() as engine:
        report = fsck(engine, repair=repair)
    form = arguments.text("format")
    if form is not None:
        print_document(session, document(report), form)
    else:
        for line in lines(report, repair=repair):
            session.print(line)
    return 1 if report.left else 0


def lines(report: Report, *, repair: bool) -> Iterator[str]:
    """What was looked at, then every problem, then what to do."""
    from tiffin.engine.counted import counted

    content = (
        f"{counted(report.blobs, 'blob')} and {counted(report.layers, 'layer')} ({human_size(report.size)})"
    )
    yield f"Checked {content}, {counted(report.images, 'image')}, {counted(report.containers, 'container')}"
    for problem in report.problems:
        yield f"  {problem.what}" + (f"; {problem.outcome}" if problem.outcome else "")
    if not report.left:
        yield "All is as it should be" if not report.problems else "All that was wrong is mended"
    elif repair:
        yield f"{counted(report.left, 'problem')} left that cannot be mended from what is here"
    else:
        yield f"{counted(report.left, 'problem')} found; 'tiffin system fsck --repair' mends what it can"


def document(report: Report) -> dict[str, object]:
    """The same for programs."""
    return {
        "Blobs": report.blobs,
        "Layers": report.layers,
        "Images": report.images,
        "Containers": report.containers,
        "Size": report.size,
        "Problems": [{"What": problem.what, "Outcome": problem.outcome} for problem in report.problems],
    }


COMMAND = Command(
    "fsck [OPTIONS]",
    run,
    options=(
        value("-f, --format", "FORMAT", "Print as 'json' or through a TEMPLATE such as {{.Problems}}"),
        flag("--repair", "Remove what is damaged, and bring back what the rest of the store can give"),
    ),
    examples=("tiffin system fsck", "tiffin system fsck --repair"),
)
