"""Copy an image from any place to any other, as it is: nothing is unpacked, and no byte of it changes.

Only what leaves this store as a layer that was built here is packed for the registry or layout it goes to,
as a push would pack it; and Docker's archives hold the image of one platform, in OCI's words.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from tiffin.content.copy import copy_graph
from tiffin.content.walk import walk
from tiffin.engine import dockersocket
from tiffin.engine.lookup import need_image, open_found
from tiffin.engine.outgoing import GZIP, prepare
from tiffin.engine.policyfile import admit, admit_file
from tiffin.engine.replacedfile import replaced_file
from tiffin.engine.sending import deliver, to_send
from tiffin.errors import NotFoundError
from tiffin.image.archive import open_archive
from tiffin.image.layout import Layout
from tiffin.image.naming import choose
from tiffin.image.save import Saved, SavedGraph, write_archive
from tiffin.image.view import open_image
from tiffin.oci.descriptor import Annotation
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.engine.places import Place
    from tiffin.engine.sending import BeforeTag
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.platform import Platform


class _Opened(NamedTuple):
    """An image where it was found: what gives its content, and its manifest or index."""

    fetcher: Fetcher
    root: Descriptor


def copy_image(
    engine: Engine,
    source: Place,
    target: Place,
    platform: Platform | None = None,
    before_tag: BeforeTag | None = None,
    *,
    referrers: bool = False,
) -> Descriptor:
    """Copy the image, or of an index that for `platform` alone; return its descriptor at the target.

    With `referrers` what refers to it, and to what it is made of, comes along. Nothing has the name there
    before all of it is there, and in a registry before `before_tag` (see `send`).
    Raises NotFoundError, DeniedError where the policy does not let it in, and all that places raise.
    """
    if referrers:
        from tiffin.engine.followers import check_places  # few copy them

        check_places(source, target)
    engine.enter()
    with engine.leases.hold("copy") as lease, _opened(engine, source, target) as (fetcher, whole):
        root = whole
        if platform is not None:
            root = open_image(fetcher, whole, platform, what=source.name or source.path).descriptor
        _admit(engine, source, [whole.digest, root.digest])
        lease.add_all([("blob", part.digest) for part in walk(fetcher, root)])
        _put(engine, _Opened(fetcher, root.bare()), source, target, before_tag)
        if referrers:
            from tiffin.engine.followers import copy_referrers

            copy_referrers(engine, fetcher, root.bare(), target)
    return root


def _admit(engine: Engine, source: Place, digests: list[Digest]) -> None:
    """See that the policy lets the image in; what is in the store has been let in."""
    if source.kind == "docker":
        admit(engine, Reference.parse(source.name).tagged(), digests)
    elif source.kind != "store":
        admit_file(engine, source.kind, source.path, source.name)


@contextmanager
def _opened(engine: Engine, place: Place, target: Place) -> Iterator[_Opened]:
    with ExitStack() as stack:
        match place.kind:
            case "store":
                yield _from_store(engine, place, target)
            case "docker":
                registries = stack.enter_context(engine.registries())
                reference = Reference.parse(place.name).tagged()
                repository = registries.to_pull(reference)
                yield _Opened(repository, repository.resolve(reference))
            case "oci":
                layout = Layout(Path(place.path))
                yield _Opened(layout, _in_layout(layout, place))
            case "docker-daemon":
                from tempfile import TemporaryFile

                spool = stack.enter_context(TemporaryFile())
                dockersocket.save_image(engine.settings.environ, place.name, spool)
                spool.seek(0)
                yield _archived(stack, spool, place)
            case _:
                yield _archived(stack, stack.enter_context(_file(place.path)), place)


def _from_store(engine: Engine, place: Place, target: Place) -> _Opened:
    found = need_image(engine, place.name)
    root = to_send(engine, found.descriptor, place.name)
    if target.kind not in ("docker", "oci", "oci-archive"):
        return _Opened(engine.fetcher, root)
    outgoing = prepare(engine, root, GZIP)
    return _Opened(outgoing, outgoing.descriptor)


def _file(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}", code="no-such-file") from error


def _archived(stack: ExitStack, stream: BinaryIO, place: Place) -> _Opened:
    archive = stack.enter_context(open_archive(stream, what=place.path or "Docker's archive"))
    if place.kind != "docker-daemon" and place.name:
        return _Opened(archive, archive.resolve(_reference(place)))
    where = place.path or f"Docker's {place.name}"
    return _Opened(archive, choose([image.descriptor for image in archive.images], where))


def _in_layout(layout: Layout, place: Place) -> Descriptor:
    if _is_whole(place.name):
        return layout.resolve(_reference(place))
    return choose(layout.entries(), place.path, place.name)


def _is_whole(name: str) -> bool:
    """Whether it is the name of an image, and not a tag alone."""
    return any(mark in name for mark in "/:@")


def _reference(place: Place) -> Reference:
    """What the name in a layout or archive means: in those of OCI a tag alone, or all of a name."""
    if place.kind == "docker-archive" or _is_whole(place.name):
        return Reference.parse(place.name).tagged()
    return Reference("docker.io", "library/any", place.name)


def _put(engine: Engine, image: _Opened, source: Place, target: Place, before_tag: BeforeTag | None) -> None:
    match target.kind:
        case "store":
            _keep(engine, image, Reference.parse(target.name).tagged())
        case "docker":
            _send(engine, image, source, Reference.parse(target.name).tagged(), before_tag)
        case "oci":
            _enter(engine, image, Layout.create(Path(target.path)), target.name)
        case "docker-daemon":
            from tempfile import TemporaryFile

            with TemporaryFile() as spool:
                write_archive(spool, [_for_docker(engine, image, target)])
                spool.seek(0)
                dockersocket.load_image(engine.settings.environ, spool)
        case "docker-archive":
            with replaced_file(target.path) as out:
                write_archive(out, [_for_docker(engine, image, target)])
        case "oci-archive":
            with replaced_file(target.path) as out:
                write_archive(out, [_for_layout(image, target)], docker=False)


def _keep(engine: Engine, image: _Opened, reference: Reference) -> None:
    """Take in what is to be had of it; layers are unpacked by the first who needs them."""
    copy_graph(image.fetcher, engine.blobs, image.root, emit=engine.emit)
    image_id = open_found(engine, image.root, reference).image_id
    engine.keep(image.root, image_id, [reference])
    engine.happened("image", "tag", image_id, name=reference.familiar)


def _enter(engine: Engine, image: _Opened, layout: Layout, name: str) -> None:
    with layout.writing():
        copy_graph(image.fetcher, layout, image.root, emit=engine.emit)
        if not name:
            layout.enter(image.root)
        elif (whole := _given_whole(name)) is not None:
            layout.tag(whole, image.root)
        else:
            layout.replace(name, image.root)


def _given_whole(name: str) -> Reference | None:
    """What an image is to be called in a layout or archive; None for a tag alone, which may hold an `@`."""
    return Reference.parse(name).tagged() if any(mark in name for mark in "/:") else None


def _send(
    engine: Engine, image: _Opened, source: Place, reference: Reference, before_tag: BeforeTag | None
) -> None:
    with engine.registries() as registries:
        repository = registries.to_push(reference, _mounts(image, source, reference))
        deliver(engine, image.fetcher, image.root, repository)
        if before_tag is not None:
            before_tag(engine, registries, reference, image.fetcher, image.root)
        repository.tag(reference, image.root)


def _mounts(image: _Opened, source: Place, target: Reference) -> dict[Digest, str]:
    """What the registry can take over from the repository that it comes from."""
    if source.kind != "docker":
        return {}
    origin = Reference.parse(source.name)
    if origin.registry != target.registry or origin.repository == target.repository:
        return {}
    return {part.digest: origin.repository for part in walk(image.fetcher, image.root)}


def _for_docker(engine: Engine, image: _Opened, target: Place) -> Saved:
    found = open_image(image.fetcher, image.root, engine.platform, what=target.name)
    return Saved(found, (Reference.parse(target.name).tagged(),) if target.name else ())


def _for_layout(image: _Opened, target: Place) -> SavedGraph:
    whole = _given_whole(target.name)
    if whole is not None:
        return SavedGraph(image.fetcher, image.root, (whole,))
    annotations = {Annotation.REF_NAME: target.name} if target.name else {}
    return SavedGraph(image.fetcher, msgspec.structs.replace(image.root, annotations=annotations))
