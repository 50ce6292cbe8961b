"""How much each kind of pruning would give back, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.engine.collection import Links, roots
from tiffin.store.gc import Node, mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.engine.engine import Engine

__all__ = ["reclaimable"]


def reclaimable(engine: Engine) -> list[tuple[str, int]]:
    """The commands that free something, the mildest first, and about how many bytes each does.

    What containers need and what commands hold at work counts as kept, and so do containers themselves,
    volumes and cache mounts: nobody is told to give up what cannot be made again.
    """
    with engine.db.read() as connection:
        sizes = {
            Node("layer", row[0]): int(row[1])
            for row in connection.execute("SELECT diff_id, usage FROM layer")
        }
        rows = connection.execute(
            "SELECT kind, key FROM container_item UNION SELECT kind, key FROM lease_item"
        )
        held = [Node(row[0], row[1]) for row in rows.fetchall() if row[0] in ("blob", "layer")]
    sizes |= {Node("blob", str(digest)): engine.blobs.size(digest) or 0 for digest in engine.blobs.all()}
    whole, links = sum(sizes.values()), Links(engine)

    def freed(kept: Iterable[Node]) -> int:
        return whole - sum(sizes.get(node, 0) for node in mark([*held, *kept], links))

    used = {node.key for node in held}
    images = [(Node("blob", each.descriptor.digest), str(each.image_id)) for each in engine.images.all()]
    inhabited = [node for node, identity in images if node.key in used or identity in used]
    named = [Node("blob", tag.descriptor.digest) for tag in engine.tags.all()]
    ways = (
        ("builder prune", freed(roots(engine, cache=False))),
        ("system prune", freed([*named, *inhabited])),
        ("system prune -a", freed(inhabited)),
    )
    return [way for at, way in enumerate(ways) if way[1] > max((size for _, size in ways[:at]), default=0)]
