"""What refers to an image, copied along with it: signatures, SBOMs, and what refers to those again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiffin.content.copy import copy_graph
from tiffin.content.verify import read_manifest
from tiffin.content.walk import walk
from tiffin.engine.sending import deliver
from tiffin.errors import CorruptError, InvalidError, TiffinError
from tiffin.image.layout import Layout
from tiffin.oci.reference import Reference
from tiffin.registry.client import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.engine.places import Place
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest

_DEPTH: Final = 4  # a signature of a signature of an SBOM
_MOST: Final = 10_000


def check_places(source: Place, target: Place) -> None:
    """Raise InvalidError unless both are of the kinds that know what refers to what."""
    for place in (source, target):
        if place.kind not in ("docker", "oci"):
            raise InvalidError(
                f"--referrers: {place.path or place.name} cannot say what refers to an image",
                code="no-referrers",
                hint="copy from and to docker:// and oci: places",
            )


def copy_referrers(engine: Engine, fetcher: Fetcher, root: Descriptor, target: Place) -> int:
    """Copy what refers to `root`, and to the manifests that it is made of; return how many they were.

    Between registries also the signatures that lie beside an image under tags of their own, as cosign's do.
    """
    found = list(_referring(fetcher, root))
    if target.kind == "oci":
        layout = Layout(Path(target.path))
        with layout.writing():
            for descriptor in found:
                copy_graph(fetcher, layout, descriptor.bare(), emit=engine.emit)
                layout.enter(descriptor)
        return len(found)
    reference = Reference.parse(target.name)
    with engine.registries() as registries:
        repository = registries.to_push(reference)
        for descriptor in found:
            deliver(engine, fetcher, descriptor.bare(), repository)
        if isinstance(fetcher, Repository):
            from tiffin.engine.signing import copy_signatures

            source = Reference.parse(fetcher.name)
            return len(found) + copy_signatures(registries, source, reference, _manifests(fetcher, root))
    return len(found)


def _manifests(fetcher: Fetcher, root: Descriptor) -> list[Digest]:
    return [each.digest for each in walk(fetcher, root) if each.is_manifest or each.is_index]


def _referring(fetcher: Fetcher, root: Descriptor) -> Iterator[Descriptor]:
    """Every manifest that refers to one below `root`, or to one that does, each once and before its own."""
    seen: set[str] = set()
    pending = [(digest, 1) for digest in _manifests(fetcher, root)]
    about = fetcher.referrers if isinstance(fetcher, Repository) else _by_subject(fetcher)
    while pending:
        digest, depth = pending.pop(0)
        for descriptor in about(digest):
            if descriptor.digest in seen:
                continue
            seen.add(descriptor.digest)
            if depth > _DEPTH or len(seen) > _MOST:
                raise CorruptError(f"too much refers to {root.digest}", code="too-many-referrers")
            yield descriptor
            pending.append((descriptor.digest, depth + 1))


def _by_subject(fetcher: Fetcher) -> Callable[[Digest], list[Descriptor]]:
    """What of a layout refers to a digest; each of its manifests is read once."""
    assert isinstance(fetcher, Layout)
    found: dict[Digest, list[Descriptor]] = {}
    for entry in fetcher.entries():
        if (subject := _subject(fetcher, entry)) is not None:
            found.setdefault(subject, []).append(entry)
    return lambda digest: found.get(digest, [])


def _subject(layout: Layout, entry: Descriptor) -> Digest | None:
    try:
        manifest = read_manifest(layout, entry.bare())
    except TiffinError:  # of no kind that we know, or not there
        return None
    return manifest.subject.digest if manifest.subject else None
