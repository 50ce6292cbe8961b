"""Documents: bytes to values and back. Pure.

`encode` is canonical: the same value gives the same bytes, without spaces, maps sorted
by key. `decode` is strict about types and tolerant of fields it does not know, and its errors name the field.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from tiffin.errors import CorruptError, InvalidError, TiffinError
from tiffin.oci.digest import Digest

LIMIT: Final = 16 << 20
_DEPTH: Final = 200

T = TypeVar("T")


def encode(value: object) -> bytes:
    """The canonical JSON of a value of these rooms."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidError(
            f"text {error.object[:80]!r} cannot be written to a document: it is not Unicode",
            hint="names and values in images have to be UTF-8",
        ) from None


def decode(
    data: bytes, type_: type[T], what: str, *, fault: type[TiffinError] = CorruptError, limit: int = LIMIT
) -> T:
    """The value that `data` holds, or a `fault` that names `what` was read and which field is wrong.

    A `null` counts as absent, as it does for the programs that write these documents.
    """
    if len(data) > limit:
        raise fault(f"{what}: {len(data)} bytes are more than the {limit} that such a document may have")
    try:
        if b"null" in data:
            data = msgspec.json.encode(_without_nulls(msgspec.json.decode(data), 0))
        return _decoder(type_).decode(data)
    except RecursionError:
        raise fault(f"{what}: nested too deeply") from None
    except UnicodeDecodeError:
        raise fault(f"{what}: is not UTF-8") from None
    except msgspec.ValidationError as error:
        raise fault(f"{what}: {_placed(str(error))}") from None
    except msgspec.DecodeError as error:
        raise fault(f"{what}: {error}") from None


def _placed(message: str) -> str:
    """The decoder's message with the field in front; it comes with a tail like " - at `key` in `$.field`"."""
    problem, at, path = message.rpartition(" - at `")
    if not at:
        return message
    key, keyed, place = path.removesuffix("`").rpartition("` in `")
    place = place.removeprefix("$").removeprefix(".")
    return f"field {place}: {f'{key}: ' if keyed else ''}{problem}" if place else problem


def _without_nulls(value: Any, depth: int) -> Any:
    if depth > _DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        return {key: _without_nulls(item, depth + 1) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item, depth + 1) for item in value]
    return value


def _encode_hook(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError


def _decode_hook(wanted: type, found: object) -> object:
    if not issubclass(wanted, Digest):
        raise NotImplementedError
    if not isinstance(found, str):
        # msgspec turns this into an error that names the field
        raise TypeError(f"Expected `str`, got `{type(found).__name__}`")
    try:
        return wanted(found)
    except InvalidError as error:
        raise ValueError(error.message) from None


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    known = _DECODERS.get(type_)
    if known is None:
        known = _DECODERS[type_] = msgspec.json.Decoder(type_, dec_hook=_decode_hook)
    return known


_DECODERS: Final[dict[object, msgspec.json.Decoder[Any]]] = {}


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_encode_hook, order="deterministic")
