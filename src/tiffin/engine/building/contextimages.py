"""Named contexts that are images, and not by a name: in an OCI layout, or just built and without a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.building.inputs import BUILT, LAYOUT
from tiffin.engine.lookup import Found, open_found
from tiffin.engine.policyfile import admit_file
from tiffin.image.layout import Layout
from tiffin.image.naming import choose
from tiffin.image.view import open_image
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
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
    root = choose(layout.entries(), f"the OCI layout {LAYOUT}{text}", tag, digest, usual="latest")
    image = open_image(layout, root, platform, what=f"{LAYOUT}{text}")
    copy_graph(layout, Unpacking(engine, image), image.descriptor.bare(), emit=engine.emit, threads=2)
    return Found(None, image.descriptor.bare(), image.manifest, image.config)


def split_layout(text: str) -> tuple[str, str, str]:
    """Split `PATH[:TAG][@DIGEST]` as buildx does."""
    path, _, digest = text.partition("@")
    path, _, tag = path.partition(":")
    return path, tag, digest
