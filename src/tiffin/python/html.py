"""An image as HTML for notebooks: a bar for each layer (pure). All that comes from the image is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tiffin.ui.columns import human_size
from tiffin.ui.text import sanitise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.python.image import Layer

_LONGEST = 200
_CELL = "padding:1px 8px;text-align:{};vertical-align:middle"
_BAR = "display:inline-block;height:0.8em;background:#4c78a8;width:{}%"


def show(tags: Sequence[str], identity: str, size: int, layers: Sequence[Layer]) -> str:
    """Return a table: a row for each instruction, the oldest first, with a bar for its part of the size."""
    total = max(sum(layer.size for layer in layers), 1)
    title = f"<b>{_text(', '.join(tags) or 'an image without a name')}</b>"
    head = f"{title} <code>{_text(identity.partition(':')[2][:12])}</code> {human_size(size)}"
    rows = "".join(_row(layer, total) for layer in layers)
    return f'<div>{head}<table style="border-collapse:collapse;width:100%">{rows}</table></div>'


def _row(layer: Layer, total: int) -> str:
    percent = round(100 * layer.size / total, 1)
    bar = f'<span style="{_BAR.format(percent)}"></span>' if layer.size else ""
    shown = human_size(layer.size) if layer.size else ""
    by = " ".join(layer.created_by.split()) or layer.comment
    cut = by if len(by) <= _LONGEST else by[: _LONGEST - 1] + "…"
    return (
        f'<tr><td style="{_CELL.format("left")};width:30%">{bar}</td>'
        f'<td style="{_CELL.format("right")};white-space:nowrap">{shown}</td>'
        f'<td style="{_CELL.format("left")}" title="{_text(by)}"><code>{_text(cut)}</code></td></tr>'
    )


def _text(text: str) -> str:
    return escape(sanitise(text), quote=True)
