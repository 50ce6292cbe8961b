"""Named contexts that are images, and not by a name: in an OCI layout, or just built and without a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.building.inputs import BUILT, LAYOUT
from tiffin.engine.lookup import Found, open_found
from tiffin.engine.policyfile import admit_file
from tiffin.errors import InvalidError, NotFoundError
from tiffin.image.layout import Layout
from tiffin.image.view import open_image
from tiffin.oci.descriptor import Annotation, Descriptor
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.building.request import BuildRequest
    from tiffin.engine.engine import Engine
    from tiffin.oci.platform import Platform


def find_context_image(engine: Engine, reference: str, request: BuildRequest, platform: Platform) -> Found:
    """Return the image of a named context, in the store with all that its layers are made from."""
    if reference.startswith(BUILT):
        descriptor = request.build_contexts[reference.removeprefix(BUILT)]
        assert isinstance(descriptor, Descriptor)
        return open_found(engine, descriptor, None, platform)
    return _take_in(engine, reference.removeprefix(LAYOUT), platform)


def _take_in(engine: Engine, text: str, platform: Platform) -> Found:
    from tiffin.content.copy import copy_graph
    from tiffin.engine.incoming import Unpacking

    path, tag, digest = split_layout(text)
    if digest:
        Digest(digest)
    admit_file(engine, "oci", path, tag)
    layout = Layout(Path(path))
    root = _choose(layout.entries(), text, tag, digest)
    image = open_image(layout, root, platform, what=f"{LAYOUT}{text}")
    copy_graph(layout, Unpacking(engine, image), image.descriptor.bare(), emit=engine.emit, threads=2)
    return Found(None, image.descriptor.bare(), image.manifest, image.config)


def split_layout(text: str) -> tuple[str, str, str]:
    """Split `PATH[:TAG][@DIGEST]` as buildx does."""
    path, _, digest = text.partition("@")
    path, _, tag = path.partition(":")
    return path, tag, digest


def _choose(entries: Sequence[Descriptor], text: str, tag: str, digest: str) -> Descriptor:
    """Return the entry with the digest or the tag; without both `latest`, or the only one there is."""
    if digest:
        hits = [entry for entry in entries if entry.digest == digest]
    else:
        hits = [entry for entry in entries if _has_tag(entry, tag or "latest")]
        if not hits and not tag and len(entries) == 1:
            hits = list(entries)
    found = {entry.digest: entry for entry in hits}
    if not found:
        tags = sorted({name for entry in entries if (name := entry.annotations.get(Annotation.REF_NAME))})
        raise NotFoundError(
            f"the OCI layout {LAYOUT}{text} has no such image",
            code="image-not-found",
            hint=f"it has {', '.join(tags[:8])}" if tags else "its images have no tags: name one by @DIGEST",
        )
    if len(found) > 1:
        raise InvalidError(f"the OCI layout {LAYOUT}{text} has more than one such image")
    return hits[0]


def _has_tag(entry: Descriptor, tag: str) -> bool:
    names = (entry.annotations.get(Annotation.REF_NAME, ""), entry.annotations.get(Annotation.IMAGE_NAME, ""))
    return any(name == tag or name.endswith(f":{tag}") for name in names)
