"""The Hugging Face hub, read only: each file is asked about anew, and comes from the shelf if it is the same.

The hub answers for a file with its commit and digest, and leads to where the bytes are. Clients take that as
the place to fetch from; here they are told this one, and nothing of the store behind it (Xet), which they
would call past the relay.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tiffin.build.relay.keeping import FOR_EVER, Asked
from tiffin.build.relay.upstream import Answer, Wanted
from tiffin.errors import UnsupportedError
from tiffin.registry.transport import MOVED

if TYPE_CHECKING:
    from tiffin.build.relay.keeping import Keeper, Served
    from tiffin.build.relay.message import Head
    from tiffin.build.relay.upstream import Upstream

_FILE: Final = re.compile(r"/(?:datasets/|spaces/)?[^/]+(?:/[^/]+)?/resolve/.+")
_QUESTIONS: Final = re.compile(r"/api/(?:models|datasets|spaces)/[^/]+/[^/]+/paths-info/.+")
_READ: Final = re.compile(r"/api/(?:models|datasets|spaces)(?:/.*)?")
_SHA256: Final = re.compile(r'"?([0-9a-f]{64})"?')
_TOLD: Final = ("X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size")
_RENAMED: Final = 5


class Hub:
    """Answers for the hub at `url`, which clients call at `here`."""

    def __init__(self, url: str, here: str, upstream: Upstream, keeper: Keeper) -> None:
        self._url = url
        self._here = here
        self._upstream = upstream
        self._keeper = keeper

    def get(self, head: Head, path: str, body: bytes) -> Served | Answer:
        """What the request asks for. Raises UnsupportedError for what would write, or read of accounts."""
        bare = path.partition("?")[0]
        own = head.field("authorization")
        fields = {"Accept": head.field("accept") or "*/*", **({"Authorization": own} if own else {})}
        if head.method in ("GET", "HEAD") and _FILE.fullmatch(bare):
            return self._file(head, path, fields)
        asks = head.method == "POST" and _QUESTIONS.fullmatch(bare)
        if not asks and not (head.method in ("GET", "HEAD") and (_READ.fullmatch(bare) or own)):
            raise UnsupportedError(f"{head.method} {bare[:100]} is not passed on to the hub")
        if head.field("content-type"):
            fields["Content-Type"] = head.field("content-type")
        answer = self._upstream.request(Wanted(head.method, f"{self._url}{path}", fields, body or None))
        if "Link" in answer.fields:  # the next page of a long list
            link = answer.fields["Link"].replace(f"<{self._url}/", f"<{self._here}/")
            answer.fields = {**answer.fields, "Link": link}
        return answer

    def _file(self, head: Head, path: str, fields: dict[str, str]) -> Served | Answer:
        url = f"{self._url}{path}"
        answer = self._upstream.request(Wanted("HEAD", url, fields, follows=False))
        for _ in range(_RENAMED):
            if answer.status not in MOVED or not answer.fields.get("Location", "").startswith("/"):
                break
            answer.close()  # a repository or a revision that has another name
            url = f"{self._url}{answer.fields['Location']}"
            answer = self._upstream.request(Wanted("HEAD", url, fields, follows=False))
        if answer.status not in (200, *MOVED):
            answer.close()
            return answer if head.method == "HEAD" else self._upstream.request(Wanted("GET", url, fields))
        answer.close()
        told = {name: answer.fields[name] for name in _TOLD if name in answer.fields}
        etag = answer.fields.get("X-Linked-Etag") or answer.fields.get("ETag", "")
        digest = _SHA256.fullmatch(etag)
        size = answer.fields.get("X-Linked-Size") or answer.fields.get("Content-Length", "")
        if head.method == "HEAD":
            return _Told(answer, {**told, "ETag": etag, "Content-Length": size, "Accept-Ranges": "bytes"})
        return self._keeper.get(
            Asked(
                url,
                sha256=digest[1] if digest else "",
                fresh=FOR_EVER if etag else 0.0,
                fields=fields,
                told=told,
                variant=etag,  # another file at the same place is another one
            )
        )


class _Told(Answer):
    """The answer to HEAD with which a client is sent to us for the file."""

    def __init__(self, answer: Answer, fields: dict[str, str]) -> None:
        self.status, self.reason, self.url = 200, "OK", answer.url
        self.fields = {name: value for name, value in fields.items() if value}

    def close(self) -> None:
        """Nothing is open."""
