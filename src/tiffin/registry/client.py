"""One repository of a registry as a place for content: the verbs of the distribution-spec.

Implements the protocols Fetcher, Pusher, Resolver and Tagger. What is fetched may come from a mirror,
and is for the reader to verify; what is pushed goes to the registry itself. Beyond the protocols, a push
may fail with an `UnavailableError` (`cut-off`, `in-pieces`) after which the content should be sent again.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO, Final

from tiffin.content.verify import VerifyingReader
from tiffin.errors import (
    CorruptError,
    DeniedError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnauthorizedError,
    UnavailableError,
)
from tiffin.events import Notice, ignore
from tiffin.oci.descriptor import INDEXES, MANIFESTS, Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import LIMIT, parse_manifest
from tiffin.registry.auth import scope
from tiffin.registry.download import BlobStream
from tiffin.registry.upload import Draft, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from tiffin.events import Emit
    from tiffin.oci.reference import Reference
    from tiffin.registry.session import Session
    from tiffin.registry.transport import Answer

    T = TypeVar("T")

_BUFFER: Final = 1 << 18
_ACCEPT: Final = ", ".join([*sorted(INDEXES | MANIFESTS), "*/*;q=0.1"])
_KNOWN: Final = INDEXES | MANIFESTS
_NO_PARTS: Final = frozenset({200, 400, 405, 416, 501})


class Access:
    """A repository at one host: the way there, and the path that it has there."""

    def __init__(self, session: Session, repository: str, *, push: bool) -> None:
        self.session = session
        self.repository = repository
        self.scopes = frozenset({scope(repository, *(("pull", "push") if push else ("pull",)))})

    def request(self, method: str, path: str, accept: str = "*/*", **headers: str) -> Answer:
        """The answer to a request about this repository, without a body."""
        sent = {"Accept": accept, **headers}
        return self.session.request(method, f"/v2/{self.repository}/{path}", self.scopes, sent)


class Repository:
    """The repository `name` (registry and path); `pull` are the hosts to fetch from, in order.

    `mounts` says of blobs in which other repository of the registry they may be: from there
    the registry takes them over by itself, if it wants to.
    """

    def __init__(
        self,
        name: str,
        pull: Sequence[Access],
        push: Access | None = None,
        *,
        mounts: Mapping[Digest, str] | None = None,
        emit: Emit = ignore,
    ) -> None:
        self.name = name
        self._mounts = mounts or {}
        self._pull = list(pull)
        self._push = push
        self._emit = emit
        self._documents: dict[Digest, bytes] = {}
        self._pieces = False

    def resolve(self, reference: Reference) -> Descriptor:
        """What the name stands for in the registry, without fetching it; a digest in it wins over the tag."""
        self._check(reference)
        wanted = reference.tagged()
        target = str(wanted.digest or wanted.tag)
        what = wanted.familiar
        return self._first(lambda access: _resolve(access, target, wanted.digest, what))

    def tags(self) -> list[str]:
        """All tags that the registry itself lists. Raises NotFoundError if there are none."""
        from tiffin.registry.listing import list_tags  # few ask

        return list_tags(self._pull[-1], self.name)

    def referrers(self, digest: Digest, artifact_type: str = "") -> list[Descriptor]:
        """The manifests in the registry itself whose subject is `digest`, of one type if one is given."""
        from tiffin.registry.referrers import list_referrers  # few ask

        return list_referrers(self._pull[-1], digest, artifact_type, f"{self.name}@{digest}")

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, resumed where the connection is cut; of manifests too."""
        held = self._documents.get(descriptor.digest)
        if held is not None:
            return io.BytesIO(held)
        return self.open_at(descriptor, 0)

    def open_at(self, descriptor: Descriptor, start: int) -> io.BufferedReader:
        """A stream of a blob from the byte `start` on, unverified, for who has those before it."""

        def reopen(offset: int) -> Answer:
            return self._first(lambda access: _get(access, descriptor, offset))

        stream = BlobStream(reopen(start), descriptor.size, reopen, self.pause, start=start)
        return io.BufferedReader(stream, _BUFFER)

    def open_piece(self, descriptor: Descriptor, start: int, stop: int) -> io.BufferedReader | None:
        """A stream of a blob's bytes from `start` up to `stop`; None where no part can be had by itself."""

        def reopen(offset: int) -> Answer:
            answer = self._first(lambda access: _get_piece(access, descriptor, offset, stop))
            if answer is None:
                raise UnavailableError(f"{self.name} gives no parts of blobs any more", code="no-ranges")
            return answer

        first = self._first(lambda access: _get_piece(access, descriptor, start, stop))
        if first is None:
            return None
        return io.BufferedReader(BlobStream(first, stop, reopen, self.pause, start=start), _BUFFER)

    def has(self, descriptor: Descriptor) -> bool:
        """The registry has the content, in this repository."""
        access = self._push or self._pull[-1]
        answer = access.request("HEAD", _path(descriptor), _accept(descriptor))
        answer.close()
        if answer.status == 200:
            return True
        if answer.status == 404:
            return False
        raise access.session.failure(answer, f"{self.name} (content {descriptor.digest.short})")

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Send the content; a manifest comes after what it refers to."""
        if descriptor.is_index or descriptor.is_manifest:
            self._push_manifest(descriptor, stream)
        else:
            self._push_blob(descriptor, stream)

    def draft(self) -> Draft:
        """Begin to send a blob whose digest is not known yet."""
        return Draft(self._target())

    def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Let the tag stand for a manifest that is in the registry already."""
        self._check(reference)
        tag = reference.tagged().tag
        if tag is None:
            return
        data = self._documents.get(descriptor.digest)
        if data is None:
            with self.open(descriptor) as stream:
                data = VerifyingReader(stream, descriptor, owns=False).read()
        self._put_manifest(tag, descriptor, data)

    def pause(self, attempt: int) -> None:
        """Wait before what failed is tried again, the longer the more often it was."""
        self._pull[-1].session.transport.pause(attempt)

    def _push_blob(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        target = self._target()
        upload = target.begin(descriptor, self._mounts.get(descriptor.digest, ""))
        if upload is None:
            return
        try:
            target.send(descriptor, stream, upload, pieces=self._pieces)
        except UnavailableError as error:
            if error.code == "too-large" and not self._pieces:
                self._pieces = True  # for the attempt that follows, and all other blobs
                raise UnavailableError(error.message, code="in-pieces", hint=error.hint) from error
            raise

    def _push_manifest(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        if descriptor.size > LIMIT:
            raise CorruptError(f"manifest {descriptor.digest} has more than the {LIMIT} bytes allowed")
        data = VerifyingReader(stream, descriptor, owns=False).read()
        self._put_manifest(str(descriptor.digest), descriptor, data)
        self._documents[descriptor.digest] = data

    def _put_manifest(self, name: str, descriptor: Descriptor, data: bytes) -> None:
        access = self._writable()
        headers = {"Content-Type": descriptor.media_type}
        path = f"/v2/{access.repository}/manifests/{name}"
        answer = access.session.request("PUT", path, access.scopes, headers, data)
        if answer.status not in (201, 200, 202):
            raise access.session.failure(answer, f"{self.name} (manifest {descriptor.digest.short})")
        said = answer.headers.get("Docker-Content-Digest", "")
        answer.close()
        if said and said != descriptor.digest and said.startswith(descriptor.digest.algorithm + ":"):
            raise CorruptError(f"{access.session.login} took manifest {descriptor.digest} for {said[:100]}")
        if b'"subject"' in data:
            from tiffin.registry.referrers import note_subject  # few manifests are about others

            note_subject(access, descriptor, data, answer, self.name)

    def _writable(self) -> Access:
        assert self._push is not None, "this repository was opened to pull from"
        return self._push

    def _target(self) -> Target:
        access = self._writable()
        return Target(access.session, access.repository, access.scopes)

    def _first(self, action: Callable[[Access], T]) -> T:
        """What the first host gives that has it; one that does not work is asked last from then on."""
        problems = []
        for access in self._pull[:-1]:
            try:
                return action(access)
            except (UnavailableError, UnauthorizedError, DeniedError, NotFoundError) as error:
                problems.append(f"; its mirror {access.session.host}: {error.message}")
                self._demote(access, error)
        try:
            return action(self._pull[-1])
        except TiffinError as error:
            error.message += "".join(problems)
            raise

    def _demote(self, access: Access, error: TiffinError) -> None:
        # What a mirror does not have is usual: nothing is said, and it is asked for the next thing.
        if not isinstance(error, NotFoundError) and access in self._pull:
            self._pull = [one for one in self._pull if one is not access]
            self._emit(Notice(f"went on without the mirror {access.session.host}: {error.message}"))

    def _check(self, reference: Reference) -> None:
        if reference.name != self.name:
            raise InvalidError(f"{reference.familiar} is not in the repository {self.name}")


def _resolve(access: Access, target: str, digest: Digest | None, what: str) -> Descriptor:
    answer = access.request("HEAD", f"manifests/{target}", _ACCEPT)
    answer.close()
    if answer.status == 200:
        found = _described(answer, digest)
        if found is not None:
            return found
    if answer.status in (429, 503):
        raise access.session.failure(answer, what)
    # Some registries know no HEAD here, or leave out what it is for; and no HEAD says why it fails.
    answer = access.request("GET", f"manifests/{target}", _ACCEPT)
    if answer.status != 200:
        raise access.session.failure(answer, what)
    media_type = _media_type(answer)
    data = answer.read(LIMIT, f"the manifest of {what}")
    document = parse_manifest(data, media_type if media_type in _KNOWN else "", f"the manifest of {what}")
    computed = Digest.from_hash(hashlib.new(digest.algorithm if digest else "sha256", data))
    if digest is not None and computed != digest:
        raise CorruptError(f"{what}: {access.session.host} gave a manifest with the digest {computed}")
    return Descriptor(document.media_type, computed, len(data))


def _described(answer: Answer, digest: Digest | None) -> Descriptor | None:
    """The descriptor that the headers of an answer give; None when they do not give all of it."""
    media_type, size = _media_type(answer), answer.headers.get("Content-Length", "")
    if media_type not in _KNOWN or not size.isdecimal() or not 0 < len(size) < 19:
        return None
    if digest is not None:  # the name asks for certain content: what the registry calls it does not matter
        return Descriptor(media_type, digest, int(size))
    try:
        return Descriptor(media_type, Digest(answer.headers.get("Docker-Content-Digest", "")), int(size))
    except InvalidError:
        return None


def _media_type(answer: Answer) -> str:
    return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _get(access: Access, descriptor: Descriptor, offset: int) -> Answer:
    """The content from `offset` on."""
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    answer = access.request("GET", _path(descriptor), _accept(descriptor), **headers)
    what = f"content {descriptor.digest}"
    if offset and answer.status == 206:
        if _range_start(answer) != offset:
            answer.close()
            raise UnavailableError(f"{access.session.host} goes on in the wrong place with {what}")
        return answer
    if answer.status != 200:
        raise access.session.failure(answer, what)
    _skip(answer, offset)
    return answer


def _get_piece(access: Access, descriptor: Descriptor, start: int, stop: int) -> Answer | None:
    """The bytes from `start` up to `stop`; None from a registry that sends all or refuses parts."""
    answer = access.request("GET", _path(descriptor), Range=f"bytes={start}-{stop - 1}")
    if answer.status in _NO_PARTS or (answer.status == 206 and _range_start(answer) != start):
        answer.close()
        return None
    if answer.status != 206:
        raise access.session.failure(answer, f"content {descriptor.digest}")
    total = str(answer.headers.get("Content-Range", "")).rpartition("/")[2].strip()
    if total.isdecimal() and int(total[:20]) != descriptor.size:
        answer.close()
        raise CorruptError(f"content {descriptor.digest} has {total[:20]} bytes, not {descriptor.size}")
    return answer


def _skip(answer: Answer, count: int) -> None:
    """Read over what is here already, for a registry that cannot begin in the middle."""
    while count > 0:
        data = answer.some(min(count, _BUFFER))
        if not data:
            raise UnavailableError("the content ended too early", code="cut-off")
        count -= len(data)


def _range_start(answer: Answer) -> int | None:
    unit, _, place = str(answer.headers.get("Content-Range", "")).partition(" ")
    start = place.partition("-")[0]
    return int(start) if unit.lower() == "bytes" and start.isdecimal() else None


def _path(descriptor: Descriptor) -> str:
    document = descriptor.is_index or descriptor.is_manifest
    return f"{'manifests' if document else 'blobs'}/{descriptor.digest}"


def _accept(descriptor: Descriptor) -> str:
    document = descriptor.is_index or descriptor.is_manifest
    return descriptor.media_type if document else "*/*"
