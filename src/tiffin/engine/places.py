"""Where an image can be: the names of places that skopeo and its kin use. Pure.

containers-transports(5): `docker://NAME`, `oci:PATH[:TAG]`, `oci-archive:FILE[:TAG]`,
`docker-archive:FILE[:NAME]`, `docker-daemon:NAME`; a name alone, or after `store:`, is one of this store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from tiffin.errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["store", "docker", "oci", "oci-archive", "docker-archive", "docker-daemon"]

_PATHS: Final = ("oci", "oci-archive", "docker-archive")
_NAMES: Final = ("store", "docker-daemon")
_ABSENT: Final[Mapping[str, str]] = {
    "containers-storage": "save it to an archive there: podman save --format oci-archive",
    "dir": "use oci:PATH, which every OCI tool can read",
    "atomic": "use docker://",
    "sif": "use oci-archive:FILE",
    "ostree": "use oci:PATH",
}


class Place(NamedTuple):
    """A place for one image: `path` of a folder or file, and the image's `name` there, a tag perhaps."""

    kind: Kind
    path: str = ""
    name: str = ""


def parse_place(text: str) -> Place:
    """Return what the text means. Raises InvalidError, or UnsupportedError for those of others."""
    scheme, colon, rest = text.partition(":")
    if scheme == "docker" and colon:
        if not rest.startswith("//") or not rest[2:]:
            raise InvalidError(
                f"{text!r} is no place of an image", hint="a registry is docker://HOST/NAME:TAG"
            )
        return Place("docker", "", rest[2:])
    if scheme in _PATHS and colon:
        path, _, name = rest.partition(":")
        if not path:
            raise InvalidError(f"{text!r} names no file", hint=f"write {scheme}:PATH[:NAME]")
        return Place(cast("Kind", scheme), path, name)
    if scheme in _NAMES and colon:
        if not rest:
            raise InvalidError(f"{text!r} names no image", hint=f"write {scheme}:NAME[:TAG]")
        return Place(cast("Kind", scheme), "", rest)
    if scheme in _ABSENT and colon:
        raise UnsupportedError(
            f"images are not read from or written to {scheme}:", code="unknown-place", hint=_ABSENT[scheme]
        )
    return Place("store", "", text)
