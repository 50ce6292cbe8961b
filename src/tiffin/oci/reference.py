"""References: parse, normalise and print the names of images. Pure.

The grammar is that of the distribution project, the normalisation that of
Docker: `python` is `docker.io/library/python`.
"""

from __future__ import annotations

import re
from typing import Final, Self

import msgspec

from tiffin.errors import InvalidError
from tiffin.oci.digest import Digest

DOCKER_HUB: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_LEGACY_HUB: Final = "index.docker.io"
_OFFICIAL: Final = "library/"
_NAME_LIMIT: Final = 255
_TAG_LIMIT: Final = 128
_LONGEST: Final = 4096

_HOST: Final = (
    r"(?P<host>[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[0-9a-fA-F:]+\])(?::(?P<port>[0-9]+))?"
)
_PATH: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_ID_LENGTH: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


class Reference(msgspec.Struct, frozen=True):
    """The name of an image in some registry: always whole, never ambiguous.

    `registry` is a host with an optional port, `repository` the path on it; a
    tag, a digest, both or neither follow.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        """Check every part: no value of this type is malformed."""
        _check_registry(self.registry)
        _check_repository(self.repository)
        official = self.registry == DOCKER_HUB and "/" not in self.repository
        if official or _split_registry(self.name) != (self.registry, self.repository):
            raise InvalidError(f"{self.name!r} is not the full name of a repository")
        if self.tag is not None:
            _check_tag(self.tag)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference that a user wrote, with Docker's defaults filled in (but no tag)."""
        if len(text) > _LONGEST:
            raise _invalid(text, f"it is {len(text)} characters long")
        if not text:
            raise InvalidError("an image name is empty", code="invalid-reference")
        if _is_id(text):
            raise _invalid(text, "64 hex digits are an image id, not a name", hint="give the image a name")
        try:
            return cls._parse(text)
        except InvalidError as error:
            raise _invalid(text, error.message, hint=error.hint) from None

    @classmethod
    def _parse(cls, text: str) -> Self:
        named, at, digest = text.partition("@")
        registry, rest = _split_registry(named)
        path, colon, tag = rest.partition(":")
        if registry == DOCKER_HUB and path and "/" not in path:
            path = _OFFICIAL + path
        return cls(registry, path, tag if colon else None, Digest(digest) if at else None)

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The shortest spelling of `name`, as Docker prints it."""
        if self.registry != DOCKER_HUB:
            return self.name
        short = self.repository
        if short.startswith(_OFFICIAL) and short.count("/") == 1:
            short = short.removeprefix(_OFFICIAL)
        # Some paths would read as something else when shortened: docker.io/localhost/x, or a name
        # that looks like an image id.
        same = not _is_id(short) and _split_registry(short) == (DOCKER_HUB, short)
        return short if same and ("/" in short or short != self.repository) else self.name

    @property
    def familiar(self) -> str:
        """The shortest spelling that parses back to this reference, as Docker prints it."""
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return tag if self.digest is None else f"{tag}@{self.digest}"

    def __str__(self) -> str:
        """The canonical form, which parses back to the same value."""
        return self.name + self._suffix()

    def tagged(self) -> Reference:
        """This reference with the tag `latest` where it has neither tag nor digest."""
        return self if self.tag is not None or self.digest is not None else self.with_tag(DEFAULT_TAG)

    def with_tag(self, tag: str) -> Reference:
        """The same repository at `tag`, without a digest."""
        return Reference(self.registry, self.repository, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository, and tag if there is one, pinned to `digest`."""
        return Reference(self.registry, self.repository, self.tag, digest)


def _is_id(text: str) -> bool:
    return len(text) == _ID_LENGTH and _HEX.issuperset(text)


def _is_plain(text: str, marks: str) -> bool:
    """Whether it is letters and digits with single hyphens or `marks` between: no grammar is needed then.

    Most names are, and a command should not take longer to compile expressions than to do its work.
    """
    for mark in marks:
        text = text.replace(mark, "-")
    return text.isascii() and all(map(str.isalnum, text.split("-")))


def _split_registry(text: str) -> tuple[str, str]:
    """Registry and the rest: a first component is a host only when it looks like one."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DOCKER_HUB, text
    if first == _LEGACY_HUB:
        return DOCKER_HUB, rest
    if first == "localhost" or first.lower() != first or any(mark in first for mark in ".:["):
        return first, rest
    return DOCKER_HUB, text


def _check_registry(registry: str) -> None:
    if _is_plain(registry, "."):
        return
    found = re.fullmatch(_HOST, registry)
    if found is None:
        scheme = "write the host without http:// or https://" if registry in {"http:", "https:"} else ""
        raise InvalidError(f"{registry!r} is not a registry host", hint=scheme)
    port = found["port"]
    if port is not None and (len(port) > 5 or int(port) > 65535):
        raise InvalidError(f"port {port[:20]} of registry {found['host']} is out of range")


def _check_repository(path: str) -> None:
    if not path:
        raise InvalidError("the repository is missing")
    if path != path.lower():
        raise InvalidError(
            f"repository name {path!r} must be lower case", hint=f"write {path.lower()!r} instead"
        )
    if len(path) > _NAME_LIMIT:
        raise InvalidError(f"repository name is longer than {_NAME_LIMIT} characters")
    if not _is_plain(path, "/._") and not re.fullmatch(_PATH, path):
        raise InvalidError(
            f"repository name {path!r} is malformed",
            hint="use a-z, 0-9 and single . _ or - between them, with / between components",
        )


def _check_tag(tag: str) -> None:
    if not (len(tag) <= _TAG_LIMIT and _is_plain(tag, "._")) and not re.fullmatch(_TAG, tag):
        shown = tag if len(tag) <= 128 else f"{tag[:40]}…"
        raise InvalidError(
            f"tag {shown!r} is malformed",
            hint="a tag has 1 to 128 letters, digits, _ . or -, and does not begin with . or -",
        )


def _invalid(text: str, why: str, *, hint: str = "") -> InvalidError:
    shown = text if len(text) <= 300 else f"{text[:300]}…"
    return InvalidError(f"image name {shown!r}: {why}", code="invalid-reference", hint=hint)
