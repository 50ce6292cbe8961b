"""What a build puts out besides an image in the store: folders, archives, layouts, images in registries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.engine.outgoing import GZIP, prepare
from tiffin.errors import TiffinError, UnsupportedError
from tiffin.events import Notice, StepDone, StepStarted
from tiffin.image.view import open_image
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.content.protocol import Pusher
    from tiffin.engine.building.outputspec import Output
    from tiffin.engine.engine import Engine
    from tiffin.engine.outgoing import Outgoing
    from tiffin.engine.packing import Form
    from tiffin.image.view import FetchedImage
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.store.leases import Lease


class Exportable(NamedTuple):
    """An image or index in the store, the id by which it is listed, and the names of `--tag`."""

    descriptor: Descriptor
    image_id: Digest
    tags: tuple[Reference, ...]


class Exported(NamedTuple):
    """What came of it: where the image is, in its last form, or None if there is none; and its names."""

    descriptor: Descriptor | None
    tags: tuple[Reference, ...]


def export(engine: Engine, lease: Lease, outputs: Sequence[Output], built: Exportable) -> Exported:
    """Put out what was built: first what stays on this machine, and then pushes.

    The first failure ends it; what was put out before stays.
    """
    exporter = _Exporter(engine, lease, built)
    for output in sorted(outputs, key=lambda output: output.push):
        for note in output.notes:
            engine.emit(Notice(note))
        exporter.put_out(output)
    if built.tags and not any(output.holds_image for output in outputs):
        names = ", ".join(tag.familiar for tag in built.tags)
        engine.emit(Notice(f"{names} stays as it was: nothing that is put out has a name"))
    return Exported(exporter.descriptor, tuple(exporter.named))


class _Exporter:
    def __init__(self, engine: Engine, lease: Lease, built: Exportable) -> None:
        self._engine = engine
        self._lease = lease
        self._root, self._image_id, self._tags = built
        self.descriptor: Descriptor | None = None
        self.named: dict[Reference, None] = {}

    def put_out(self, output: Output) -> None:
        """Carry out one output, as a step of its own in the progress."""
        begun, step = time.monotonic(), f"output {output.kind} {output.dest or ''}"
        self._engine.emit(StepStarted(step, _title(output)))
        try:
            match output.kind:
                case "local" | "tar":
                    self._files(output)
                case "oci" | "docker" if output.dest is not None:
                    self._archive(output)
                case "image" | "docker":
                    self._image(output)
                case _:
                    pass  # the cache has what was built
        except BaseException:
            self._engine.emit(StepDone(step, "failed", time.monotonic() - begun))
            raise
        self._engine.emit(StepDone(step, "done", time.monotonic() - begun))

    def _image(self, output: Output) -> None:
        """Keep the image in the store under its names, and send it if asked to."""
        names = self._names(output)
        sent = output.form._replace(compression=output.form.compression or GZIP.compression)
        # A name with a digest is true in the store and in the registry only if both have the same.
        kept = sent if output.push and output.canonical else output.form
        ready = self._prepare(kept) if output.keeps or not output.push else None
        if ready is not None:
            self.descriptor = ready.descriptor
        if ready is not None and output.keeps:
            own = () if output.by_digest else names
            self._keep(ready, (*own, *_canonical(output, names, ready.descriptor)))
        if output.push:
            self.descriptor = self._send(output, sent, ready if kept == sent else None)
        assert self.descriptor is not None
        self.named |= dict.fromkeys((*names, *_canonical(output, names, self.descriptor)))

    def _send(self, output: Output, form: Form, ready: Outgoing | None) -> Descriptor:
        """Send the image in `form`: as it is `ready`, or else made for the registry."""
        from tiffin.engine.sending import send

        def make(there: Pusher | None) -> Outgoing:
            return ready or prepare(self._engine, self._root, form, there)

        return send(self._engine, self._names(output), make, by_digest=output.by_digest)

    def _keep(self, outgoing: Outgoing, names: Sequence[Reference]) -> None:
        engine, descriptor = self._engine, outgoing.descriptor.bare()
        for document in outgoing.documents.values():
            engine.blobs.write(document, "")
        engine.layers.settle()
        engine.keep(descriptor, self._image_id, names)

    def _prepare(self, form: Form) -> Outgoing:
        outgoing = prepare(self._engine, self._root, form)
        self._lease.add_all([("blob", digest) for digest in outgoing.documents])
        return outgoing

    def _names(self, output: Output) -> tuple[Reference, ...]:
        """Those of the output and those of --tag; a push by digest has names without a tag."""
        own = [Reference.parse(name) for name in output.names]
        if output.by_digest:
            return tuple(dict.fromkeys(own))
        return tuple(dict.fromkeys([*(name.tagged() for name in own), *self._tags]))

    def _archive(self, output: Output) -> None:
        """Write the image in Docker's form, or all of an index in OCI's."""
        from tiffin.engine.replacedfile import replaced_file
        from tiffin.image.save import Saved, SavedGraph, write_archive

        assert output.dest is not None
        outgoing, names = self._prepare(output.form), self._names(output)
        self.descriptor = outgoing.descriptor
        self.named |= dict.fromkeys(names)
        if not output.archive:
            self._layout(Path(output.dest), outgoing, names)
            return
        saved: Saved | SavedGraph = SavedGraph(outgoing, outgoing.descriptor, names)
        if output.kind == "docker":
            saved = Saved(_only(outgoing), names)
        with replaced_file(output.dest) as out:
            write_archive(out, [saved], docker=output.kind == "docker")

    def _layout(self, folder: Path, outgoing: Outgoing, names: Sequence[Reference]) -> None:
        from tiffin.content.copy import copy_graph
        from tiffin.image.layout import Layout

        layout = Layout.create(folder)
        with layout.writing():
            copy_graph(outgoing, layout, outgoing.descriptor)
            for name in names:
                layout.tag(name, outgoing.descriptor)
            if not names:
                layout.enter(outgoing.descriptor)

    def _files(self, output: Output) -> None:
        from tiffin.engine.building.rootfsout import root_filesystems, write_local, write_tar

        assert output.dest is not None
        trees = root_filesystems(self._engine, self._root, split=output.split)
        if output.kind == "local":
            write_local(self._engine, trees, Path(output.dest))
        else:
            write_tar(self._engine, trees, output.dest)


def _canonical(output: Output, names: Sequence[Reference], descriptor: Descriptor) -> list[Reference]:
    """The names with the digest of `descriptor`, if the output asks for them."""
    if not output.canonical:
        return []
    return [Reference(each.registry, each.repository, None, descriptor.digest) for each in names]


def _only(outgoing: Outgoing) -> FetchedImage:
    """The one image for Docker's archive, which holds one for each name."""
    try:
        return open_image(outgoing, outgoing.descriptor)
    except TiffinError as error:
        if error.code != "ambiguous-image":
            raise
        raise UnsupportedError(
            "Docker's archive holds one platform, and several were built",
            code="several-platforms",
            hint="use type=oci, or build for one --platform",
        ) from None


def _title(output: Output) -> str:
    if output.push:
        return "push image"
    if output.keeps or output.kind == "image":
        return "keep image" if output.keeps else "make image"
    if output.kind == "cacheonly":
        return "keep the build cache only"
    place = "standard output" if output.dest == "-" else output.dest
    return f"write {output.kind} to {place}"
