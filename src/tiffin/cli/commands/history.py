"""tiffin history."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.cli.command import Command
from tiffin.cli.options import flag
from tiffin.cli.output import NO_TRUNC, format_option, print_rows
from tiffin.cli.platformflag import PLATFORM, platform_of
from tiffin.ui.columns import ago, human_size, shorten

if TYPE_CHECKING:
    from tiffin.cli.command import Session
    from tiffin.cli.options import Arguments
    from tiffin.cli.output import Row
    from tiffin.engine.images import HistoryRow

CREATED_BY_WIDTH = 45
HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}

OPTIONS = (
    format_option(),
    flag("-H, --human", "Print sizes and times for people", default=True),
    NO_TRUNC,
    flag("-q, --quiet", "Show only ids"),
    PLATFORM,
)


def run(session: Session, arguments: Arguments) -> int:
    """Show an image's layers, the newest first."""
    from tiffin.engine.images import history

    with session.engine() as engine:
        found = history(engine, arguments.words[0], platform_of(arguments))
    human, whole = arguments.flag("human"), arguments.flag("no-trunc")
    rows = [_row(layer, human=human, whole=whole) for layer in found]
    form = arguments.text("format")
    if arguments.flag("quiet") and form in (None, "table"):
        for row in rows:
            session.print(str(row["ID"]))
        return 0
    created = "CreatedSince" if human else "CreatedAt"
    print_rows(session, rows, HEADINGS, ["ID", created, "CreatedBy", "Size", "Comment"], form)
    return 0


def _row(layer: HistoryRow, *, human: bool, whole: bool) -> Row:
    by = " ".join(layer.created_by.replace("\t", " ").split("\n")) if not whole else layer.created_by
    known = layer.id.startswith("sha256:")
    return {
        "ID": layer.id if whole or not known else layer.id.partition(":")[2][:12],
        "CreatedSince": "N/A" if layer.created is None else ago(layer.created, time.time()),
        "CreatedAt": "N/A"
        if layer.created is None
        else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(layer.created)),
        "CreatedBy": by if whole else shorten(by, CREATED_BY_WIDTH),
        "Size": human_size(layer.size) if human else str(layer.size),
        "Comment": layer.comment,
    }


COMMAND = Command(
    "history [OPTIONS] IMAGE",
    run,
    options=OPTIONS,
    words=(1, 1),
    names="images",
    examples=(
        "tiffin history finca-serving",
        "tiffin history --no-trunc --format '{{.Size}} {{.CreatedBy}}' finca-serving",
    ),
)
