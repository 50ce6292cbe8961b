"""Small images for tests: real tars, real documents."""

import io
import tarfile

from tiffin.content.memory import MemoryPlace
from tiffin.image.edit import Draft, uncompressed_layer
from tiffin.image.view import open_image
from tiffin.oci.config import ContainerConfig, History
from tiffin.oci.descriptor import MediaType
from tiffin.oci.digest import DiffID
from tiffin.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
CREATED = "2024-02-06T12:00:00Z"


def tar(**files):
    """A tar with these files (name=content), as a layer has it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def draft_of(place, *layers, platform=AMD64, **config):
    """A draft whose layers (bytes of tars) lie uncompressed in `place`."""
    draft = Draft.scratch(platform).stamp(CREATED)
    for number, data in enumerate(layers):
        diff_id = DiffID.of(data)
        place.write(data, MediaType.OCI_LAYER)
        draft = draft.append(
            uncompressed_layer(diff_id, len(data)), diff_id, History(CREATED, f"COPY {number}")
        )
    return draft.configure(ContainerConfig(**({"cmd": ("/serve",)} | config)), History(CREATED, "CMD"))


def put(place, draft):
    """The descriptor of the image, whose documents lie in `place` now."""
    built = draft.build()
    place.write(built.config, MediaType.OCI_CONFIG)
    return place.write(built.manifest, MediaType.OCI_MANIFEST)


def make_image(*layers, place=None, **config):
    """An image in memory."""
    place = place or MemoryPlace()
    return open_image(place, put(place, draft_of(place, *layers, **config)))
