"""An image as a Python program holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tiffin.python.child import call

if TYPE_CHECKING:
    from collections.abc import Mapping


class Layer(NamedTuple):
    """One instruction of an image: `created` in seconds since 1970, `size` 0 where it added no files."""

    created_by: str
    size: int
    created: float | None
    comment: str


class Image:
    """An image in the store: what it was when it was asked for.

    `id` is that of its config, `digest` that of its manifest or index, `size` that of its
    unpacked layers in bytes, `created` when it came to the store, in seconds since 1970.
    In a notebook it shows its layers as bars.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.id: str = fields["id"]
        self.tags: tuple[str, ...] = tuple(fields["references"])
        self.digest: str = fields["digest"]
        self.size: int = fields["size"]
        self.created: float = fields["created"]
        self.labels: dict[str, str] = dict(fields["labels"])
        self._layers: tuple[Layer, ...] | None = None

    @property
    def name(self) -> str:
        """Its first name, or the id of an image that has none."""
        return self.tags[0] if self.tags else self.id

    def layers(self) -> tuple[Layer, ...]:
        """Return its instructions as `tiffin history` shows them, but the oldest first."""
        if self._layers is None:
            rows = call("history", {"name": self.id}).value
            self._layers = tuple(
                Layer(row["created_by"], row["size"], row["created"], row["comment"])
                for row in reversed(rows)
            )
        return self._layers

    def inspect(self) -> dict[str, Any]:
        """Return Docker's document of it, as `tiffin image inspect` prints it."""
        found: dict[str, Any] = call("inspect_image", {"name": self.id}).value
        return found

    def tag(self, name: str) -> Self:
        """Give it the name `name` too; return the image with all its names."""
        return type(self)(call("tag", {"name": self.id, "new": name}).value)

    def remove(self, *, force: bool = False) -> None:
        """Remove it; with `force` also if it has several names, or containers that have ended."""
        call("remove_image", {"name": self.id, "force": force})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<tiffin.Image {self.name} {self.id.partition(':')[2][:12]}>"

    def __str__(self) -> str:
        return self.name

    def _repr_html_(self) -> str:
        from tiffin.python.html import show

        return show(self.tags, self.id, self.size, self.layers())
