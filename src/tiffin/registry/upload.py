"""A blob on its way to a registry: mounted, sent in one piece, or in several (distribution-spec, "Push")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple
from urllib.parse import quote, urlencode

from tiffin.content.verify import VerifyingReader
from tiffin.errors import TiffinError, UnauthorizedError, UnavailableError
from tiffin.oci.descriptor import Descriptor
from tiffin.registry.auth import scope
from tiffin.registry.transport import Sending

if TYPE_CHECKING:
    from tiffin.registry.auth import Scopes
    from tiffin.registry.session import Session
    from tiffin.registry.transport import Answer

PIECE: Final = 8 << 20
_LARGEST: Final = 256 << 20  # which is held in memory
_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d+)")
_DATA: Final = {"Content-Type": "application/octet-stream"}
_NAMELESS: Final = Descriptor.of(b"", "")


class Upload(NamedTuple):
    """An upload that was begun: where to send the blob, and how large pieces are to be, but the last."""

    location: str
    piece: int = PIECE


class Target(NamedTuple):
    """A repository to send to: the way to its registry, its path there, and the rights that it takes."""

    session: Session
    repository: str
    scopes: Scopes

    def begin(self, descriptor: Descriptor, source: str = "") -> Upload | None:
        """Begin to send the blob; None when the registry took it over from the repository `source`."""
        path = f"/v2/{self.repository}/blobs/uploads/"
        if source:
            query = urlencode({"mount": str(descriptor.digest), "from": source})
            try:
                answer = self.session.request(
                    "POST", f"{path}?{query}", self.scopes | {scope(source, "pull")}
                )
            except UnauthorizedError:
                pass  # we may not read there, and so need not ask
            else:
                if answer.status == 202:
                    return self._begun(answer, descriptor)
                answer.close()
                if answer.status == 201:
                    return None
        answer = self.session.request("POST", path, self.scopes)
        if answer.status != 202:
            raise self.session.failure(answer, f"the repository {self.repository}")
        return self._begun(answer, descriptor)

    def _begun(self, answer: Answer, descriptor: Descriptor) -> Upload:
        least = str(answer.headers.get("OCI-Chunk-Min-Length", "")).strip()
        piece = min(max(PIECE, int(least[:18])), _LARGEST) if least.isdecimal() else PIECE
        return Upload(self._next(answer, (202,), descriptor), piece)

    def send(self, descriptor: Descriptor, stream: BinaryIO, upload: Upload, *, pieces: bool) -> None:
        """Send the whole stream; nothing stays when it is not what the descriptor says."""
        checked = VerifyingReader(stream, descriptor, owns=False)
        try:
            if descriptor.size == 0:
                checked.read(1)  # nothing must follow, and nobody else would look
            if pieces:
                self._send_pieces(descriptor, checked, upload)
            else:
                self.put(descriptor, upload.location, Sending(checked, descriptor.size))
        except BaseException:
            self.cancel(upload.location)
            raise

    def put(self, descriptor: Descriptor, location: str, body: Sending | None) -> None:
        """End an upload, and give it its name."""
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={quote(descriptor.digest, safe='')}"
        answer = self.session.request("PUT", url, self.scopes, _DATA, body)
        if answer.status not in (201, 204):
            raise self.session.failure(answer, f"blob {descriptor.digest.short}")
        answer.close()

    def _send_pieces(self, descriptor: Descriptor, stream: BinaryIO, upload: Upload) -> None:
        at, location = 0, upload.location
        while data := stream.read(upload.piece):
            location = self.send_piece(descriptor, data, at, location)
            at += len(data)
        self.put(descriptor, location, None)

    def send_piece(self, descriptor: Descriptor, data: bytes, at: int, location: str) -> str:
        """Send one piece; return where to go on. It is in memory: a part that got lost can be sent again."""
        headers = {**_DATA, "Content-Range": f"{at}-{at + len(data) - 1}"}
        answer = self.session.request("PATCH", location, self.scopes, headers, data)
        if answer.status == 416:
            # The piece, or a part of it, had arrived in an earlier attempt whose answer was lost.
            answer.close()
            location, have = self._status(descriptor, location)
            if have == at + len(data):
                return location
            if not at <= have < at + len(data):
                raise UnavailableError(
                    f"{self.session.login} has lost a part of blob {descriptor.digest.short}",
                    code="cut-off",
                    hint="try again",
                )
            return self.send_piece(descriptor, data[have - at :], have, location)
        return self._next(answer, (202, 201, 204), descriptor)

    def _status(self, descriptor: Descriptor, location: str) -> tuple[str, int]:
        answer = self.session.request("GET", location, self.scopes)
        found = _RANGE.match(answer.headers.get("Range", ""))
        have = int(found[1]) + 1 if found else 0
        return self._next(answer, (204, 202), descriptor), have

    def _next(self, answer: Answer, statuses: tuple[int, ...], descriptor: Descriptor) -> str:
        what = f"blob {descriptor.digest.short}"
        if answer.status not in statuses:
            raise self.session.failure(answer, what)
        location = self.session.location(answer, what)
        answer.close()
        return location

    def cancel(self, location: str) -> None:
        """Tell the registry that nothing more comes; it forgets the upload sooner or later anyway."""
        try:
            self.session.request("DELETE", location, self.scopes).close()
        except (TiffinError, OSError):
            return


class Draft:
    """A blob that is sent while it is made: pieces of `piece` bytes, and what it is called at the end."""

    def __init__(self, target: Target) -> None:
        upload = target.begin(_NAMELESS)
        assert upload is not None, "only what comes from another repository may be there already"
        self.piece = upload.piece
        self._target = target
        self._location = upload.location
        self._at = 0

    def send(self, data: bytes) -> None:
        """Send the next piece; only the last may be smaller."""
        self._location = self._target.send_piece(_NAMELESS, data, self._at, self._location)
        self._at += len(data)

    def finish(self, descriptor: Descriptor) -> None:
        """Let the registry have what was sent as the blob `descriptor`, if that is what it is."""
        self._target.put(descriptor, self._location, None)

    def cancel(self) -> None:
        """Let the registry forget it."""
        self._target.cancel(self._location)
