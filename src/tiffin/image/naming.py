"""How the entries of an OCI layout get their names: annotations to references and back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.descriptor import Annotation, Descriptor
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def named(descriptor: Descriptor, reference: Reference) -> Descriptor:
    """The entry of an index that gives `descriptor` the name, in the words of both families of tools.

    The whole name goes where Docker and containerd look, the tag alone where the image-spec wants it.
    """
    names = {Annotation.IMAGE_NAME: str(reference)}
    if reference.tag is not None:
        names[Annotation.REF_NAME] = reference.tag
    return msgspec.structs.replace(
        unnamed(descriptor), annotations={**unnamed(descriptor).annotations, **names}
    )


def unnamed(descriptor: Descriptor) -> Descriptor:
    """The descriptor without its names."""
    kept = {
        key: value
        for key, value in descriptor.annotations.items()
        if key not in {Annotation.IMAGE_NAME, Annotation.REF_NAME}
    }
    return msgspec.structs.replace(descriptor, annotations=kept)


def name_of(entry: Descriptor) -> Reference | None:
    """The whole name of an entry, if it has one; a tag alone (`latest`) names no repository."""
    text = entry.annotations.get(Annotation.IMAGE_NAME, "")
    if not text:
        text = entry.annotations.get(Annotation.REF_NAME, "")
        if not any(mark in text for mark in ":/@"):
            return None
    try:
        return Reference.parse(text).tagged()
    except InvalidError:
        return None


def find(entries: Sequence[Descriptor], reference: Reference, where: str) -> Descriptor:
    """The entry that `reference` stands for; `NotFoundError` lists the names there are instead.

    An entry that has only a tag answers to any repository with that tag; a digest decides alone.
    """
    wanted = reference.tagged()
    if wanted.digest is not None:
        hits = [entry for entry in entries if entry.digest == wanted.digest]
    else:
        hits = [entry for entry in entries if name_of(entry) == wanted]
    if not hits and wanted.digest is None:
        hits = [
            entry
            for entry in entries
            if name_of(entry) is None and entry.annotations.get(Annotation.REF_NAME) == wanted.tag
        ]
    if len({hit.digest for hit in hits}) > 1:
        raise InvalidError(f"{where} has more than one image with the name {reference.familiar}")
    if not hits:
        raise NotFoundError(
            f"{where} has no image {reference.familiar}", code="image-not-found", hint=_offer(entries)
        )
    return unnamed(hits[0])


def choose(
    entries: Sequence[Descriptor], where: str, tag: str = "", digest: str = "", *, usual: str = ""
) -> Descriptor:
    """The entry with the digest, or with the tag, alone or at the end of a name; without both the only one.

    Of several, that with the `usual` tag is taken if there is one. NotFoundError lists the names that there
    are, InvalidError says that several would do.
    """
    if digest:
        hits = [entry for entry in entries if entry.digest == digest]
    elif tag or usual:
        hits = [entry for entry in entries if _has_tag(entry, tag or usual)]
    else:
        hits = list(entries)
    if not hits and not tag and not digest and len({entry.digest for entry in entries}) == 1:
        hits = list(entries)
    found = {entry.digest: entry for entry in hits}
    if len(found) == 1:
        return hits[0]
    if not entries:
        raise NotFoundError(f"{where} holds no image", code="image-not-found")
    if not found:
        raise NotFoundError(f"{where} has no such image", code="image-not-found", hint=_offer(entries))
    such = "such images" if tag or digest or usual else "images"
    raise InvalidError(f"{where} holds {len(found)} {such}", code="ambiguous-image", hint=_offer(entries))


def _has_tag(entry: Descriptor, tag: str) -> bool:
    names = (entry.annotations.get(Annotation.REF_NAME, ""), entry.annotations.get(Annotation.IMAGE_NAME, ""))
    return any(name == tag or name.endswith(f":{tag}") for name in names)


def _offer(entries: Iterable[Descriptor]) -> str:
    names = {name.familiar for entry in entries if (name := name_of(entry)) is not None}
    tags = {
        entry.annotations[Annotation.REF_NAME]
        for entry in entries
        if name_of(entry) is None and Annotation.REF_NAME in entry.annotations
    }
    known = sorted(names) + sorted(tags)
    return (
        f"it has {', '.join(known[:8])}{' …' if len(known) > 8 else ''}"
        if known
        else "its images have no names"
    )
