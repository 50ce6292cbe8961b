"""Digests: names of content that nobody can forge (image-spec, descriptor.md and config.md). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterable

HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HEX: Final = frozenset("0123456789abcdef")


class Digest(str):
    """`algorithm:hex` of bytes as stored; a value of this type is always well formed.

    The algorithms are those with a registered length, so that the encoded part
    is plain lower-case hex and may serve as a file name.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the form; `InvalidError` says which part is wrong."""
        algorithm, colon, encoded = text.partition(":")
        shown = text if len(text) <= 160 else text[:160] + "…"
        if not colon or not algorithm:
            raise InvalidError(
                f"digest {shown!r} is not of the form algorithm:hex",
                hint="a digest looks like sha256: and 64 hex digits",
            )
        length = HEX_LENGTHS.get(algorithm)
        if length is None:
            raise InvalidError(
                f"digest {shown!r} uses the unknown algorithm {algorithm[:40]!r}",
                hint=f"known are {', '.join(HEX_LENGTHS)}",
            )
        if len(encoded) != length or not _HEX.issuperset(encoded):
            raise InvalidError(
                f"digest {shown!r} does not have {length} lower-case hex digits",
                hint=f"{algorithm} digests have exactly {length} digits from 0-9 and a-f",
            )
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        """The part before the colon."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hex digits."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve hex digits, as lists show them."""
        return self.encoded[:12]

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """The sha256 digest of `data`."""
        return cls.from_hash(cls.new_hash(data))

    @staticmethod
    def new_hash(data: bytes | bytearray | memoryview = b"") -> hashlib._Hash:
        """A hash object for content that has no digest yet, fed with `data`."""
        import hashlib  # loads OpenSSL, and to name content is not yet to check it

        return hashlib.sha256(data)

    @classmethod
    def from_hash(cls, state: hashlib._Hash) -> Self:
        """The digest that a finished hash object stands for."""
        return cls(f"{state.name}:{state.hexdigest()}")

    def hasher(self) -> hashlib._Hash:
        """A fresh hash object of this digest's algorithm, to check content against it."""
        import hashlib

        return hashlib.new(self.algorithm)


class DiffID(Digest):
    """The digest of a layer's uncompressed tar."""

    __slots__ = ()


class ChainID(Digest):
    """The digest of a stack of layers, bottom first."""

    __slots__ = ()


def chain_ids(diff_ids: Iterable[DiffID]) -> list[ChainID]:
    """The chain id after each layer in turn; nothing for no layers.

    ChainID(L0) = DiffID(L0); ChainID(L0|…|Ln) = Digest(ChainID(L0|…|Ln-1) + " " + DiffID(Ln)).
    """
    chain: list[ChainID] = []
    for diff_id in diff_ids:
        text = f"{chain[-1]} {diff_id}" if chain else ""
        chain.append(ChainID.of(text.encode()) if text else ChainID(diff_id))
    return chain


def chain_id(diff_ids: Iterable[DiffID]) -> ChainID:
    """The chain id of the whole stack; `InvalidError` when there is no layer, for then there is none."""
    chain = chain_ids(diff_ids)
    if not chain:
        raise InvalidError("an image without layers has no chain id")
    return chain[-1]
