"""The tags of a repository, page by page (distribution-spec, "Listing Tags")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from tiffin.errors import CorruptError, NotFoundError
from tiffin.oci.codec import decode
from tiffin.registry.transport import joined

if TYPE_CHECKING:
    from tiffin.registry.client import Access
    from tiffin.registry.transport import Answer

_PAGE: Final = 1000
_MOST: Final = 100_000
_BYTES: Final = 4 << 20
_NEXT: Final = re.compile(r'<([^>]+)>\s*;(?:[^,]*;)?\s*rel="?next"?')


class _Tags(msgspec.Struct):
    tags: tuple[str, ...] = ()


def list_tags(access: Access, what: str) -> list[str]:
    """Return all tags of the repository, in the registry's order. Raises NotFoundError if it has none."""
    found: dict[str, None] = {}
    path = f"/v2/{access.repository}/tags/list?n={_PAGE}"
    while path:
        answer = access.session.request("GET", path, access.scopes, {"Accept": "application/json"})
        if answer.status != 200:
            raise access.session.failure(answer, what)
        link = next_page(answer)
        data = answer.read(_BYTES, f"the tags of {what}")
        before = len(found)
        found |= dict.fromkeys(decode(data, _Tags, f"the tags of {what}").tags)
        if len(found) > _MOST:
            raise CorruptError(f"{what} has more than {_MOST} tags", code="too-many-tags")
        # A page that brings nothing new would lead in a circle.
        path = link if len(found) > before else ""
    if not found:
        raise NotFoundError(f"{what} has no tags", code="no-tags")
    return list(found)


def next_page(answer: Answer) -> str:
    """The URL of the page after this one (RFC 8288), relative to this one if it is; nothing on the last.

    Registries behind a proxy that ends TLS call themselves http://: what is meant is the way that we came.
    """
    link = _NEXT.search(str(answer.headers.get("Link", "")))
    found = joined(answer.url, link[1]) if link else ""
    own, parts = urlsplit(answer.url), urlsplit(found)
    same = parts.hostname == own.hostname and parts.netloc in (own.netloc, own.hostname)
    return parts._replace(scheme=own.scheme, netloc=own.netloc).geturl() if same else found
