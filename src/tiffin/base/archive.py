"""From sources to a package index that can be trusted: signature, suite, date, hash of every index.

The order of the checks is the promise: InRelease is verified with the keys of its
source, its text is checked, and only an index with the hash that it names is read.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from tiffin.base.fetch import without_login
from tiffin.base.index import PackageIndex
from tiffin.base.keys import keys_for
from tiffin.base.release import Release, check_release, is_expired, parse_release
from tiffin.base.verify import Signed, verify
from tiffin.errors import CorruptError, DeniedError, NotFoundError
from tiffin.events import Notice, StepDone, StepStarted
from tiffin.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.base.fetch import Mirror
    from tiffin.base.machine import Machine
    from tiffin.base.release import IndexFile
    from tiffin.base.request import Blobs
    from tiffin.base.sources import Source
    from tiffin.events import Emit

INDEX_TYPE: Final = "application/vnd.debian.package-index"
_LARGEST_RELEASE: Final = 32 << 20


class Archive(NamedTuple):
    """Verified: the sources that take part with their Release files, and all of their packages."""

    suites: tuple[tuple[Source, Release], ...]
    packages: PackageIndex


class Access(NamedTuple):
    """What reading an archive takes: the machine's settings, the way to it, a place for indexes, the time."""

    machine: Machine
    mirror: Mirror
    blobs: Blobs
    keyring: Path | None
    now: float


def read_archive(sources: Sequence[Source], architecture: str, access: Access, emit: Emit) -> Archive:
    """The packages that the sources offer, the first source being the release itself.

    Sources that another distribution or vendor has signed are left out: their
    Origin differs from that of the machine, or else from that of the first.
    """
    started = time.monotonic()
    step = "base/index"
    emit(StepStarted(step, f"verify the package index of {sources[0].suite}"))
    suites: list[tuple[Source, Release]] = []
    for source in sources:
        if not source.architectures or architecture in source.architectures:
            try:
                suites.append((source, read_release(source, access, emit)))
            except NotFoundError as error:
                # This machine never had that suite, and not every release has updates and security fixes.
                if not source.optional or error.code != "not-on-mirror":
                    raise
                emit(Notice(f"left out {source.suite}: {error.message}"))
    suites = _of_one_origin(suites, access.machine.distribution, emit)
    index = PackageIndex()
    count = 0
    for source, release in suites:
        for component in source.components:
            for forms in release.indexes(component, architecture):
                index.add(_read_index(source, release, forms, access), source.uri)
                count += 1
    emit(StepDone(step, "done", time.monotonic() - started, f"{count} indexes, {len(index.names())} names"))
    return Archive(tuple(suites), index)


def read_release(source: Source, access: Access, emit: Emit) -> Release:
    """The verified Release of the source: InRelease, or Release and its detached signature."""
    place = f"{source.uri}/dists/{source.suite}"
    keys = keys_for(source, access.machine, access.keyring)
    try:
        name = f"{without_login(place)}/InRelease"
        signed = Signed(name, access.mirror.read(f"{place}/InRelease", _LARGEST_RELEASE))
    except NotFoundError:
        name = f"{without_login(place)}/Release"
        data = access.mirror.read(f"{place}/Release", _LARGEST_RELEASE)
        signed = Signed(name, data, access.mirror.read(f"{place}/Release.gpg", 1 << 20))
    release = parse_release(verify(signed, keys), name)
    check_release(release, source, access.now)
    if is_expired(release, access.now):
        if source.check_valid_until and access.machine.network.apt.flag(
            "Acquire::Check-Valid-Until", default=True
        ):
            raise DeniedError(
                f"{name} expired on {release.fields['valid-until']}",
                code="release-expired",
                hint="the mirror is out of date; use another, or set Check-Valid-Until to no in this"
                " machine's package source if it is a frozen one",
            )
        emit(Notice(f"{name} expired on {release.fields['valid-until']}; the package sources allow that"))
    return release


def _of_one_origin(
    suites: list[tuple[Source, Release]], distribution: str, emit: Emit
) -> list[tuple[Source, Release]]:
    if not suites:
        raise NotFoundError("no package source serves this architecture", code="no-package-source")
    origins = [release.origin for _, release in suites]
    ours = next((origin for origin in origins if origin.lower() == distribution.lower()), origins[0])
    for source, release in suites:
        if release.origin != ours:
            emit(
                Notice(
                    f"left out {without_login(source.uri)} {source.suite}: "
                    f"it is by {release.origin or 'nobody'}",
                    "info",
                )
            )
    return [(source, release) for source, release in suites if release.origin == ours]


def _read_index(source: Source, release: Release, forms: Sequence[IndexFile], access: Access) -> bytes:
    """The unpacked index, from the store if it is there, else from the mirror; hash and sizes checked."""
    for form in forms:
        content = Descriptor(INDEX_TYPE, form.digest, form.size)
        if not access.blobs.has(content) and not _fetch_index(source, release, form, access):
            continue
        with access.blobs.path(form.digest).open("rb") as stream:
            return _unpack(stream, form, release.name)
    raise NotFoundError(
        f"the mirror {without_login(source.uri)} has none of the package indexes that {release.name} names",
        code="no-package-index",
        hint="the mirror is being updated; try again, or use another",
    )


def _fetch_index(source: Source, release: Release, form: IndexFile, access: Access) -> bool:
    place = f"{source.uri}/dists/{source.suite}"
    directory = form.path.rpartition("/")[0]
    paths = [f"{place}/{directory}/by-hash/SHA256/{form.digest.encoded}"] if release.by_hash else []
    content = Descriptor(INDEX_TYPE, form.digest, form.size)
    for uri in [*paths, f"{place}/{form.path}"]:
        try:
            access.mirror.fetch(uri, form.size, lambda stream: access.blobs.ingest(stream, content))
        except NotFoundError:
            continue
        except CorruptError as error:
            raise CorruptError(
                f"{without_login(uri)} is not what {release.name} says: {error.message}",
                code="index-mismatch",
                hint="the mirror is being updated or is wrong; try again, or use another",
            ) from error
        return True
    return False


def _unpack(stream: BinaryIO, form: IndexFile, name: str) -> bytes:
    import gzip
    import lzma
    import zlib

    kind = form.path.rpartition(".")[2]
    reader = {"xz": lzma.LZMAFile, "gz": gzip.GzipFile}.get(kind)
    try:
        with reader(stream) if reader else contextlib.nullcontext(stream) as source:
            data: bytes = source.read(form.unpacked + 1)
    except (lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise CorruptError(
            f"{form.path} of {name} cannot be unpacked: {error}", code="package-index"
        ) from error
    if len(data) > form.unpacked:
        raise CorruptError(
            f"{form.path} of {name} unpacks to more than the {form.unpacked} bytes that it should",
            code="package-index",
        )
    return data
