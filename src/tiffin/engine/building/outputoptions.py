"""The words of one `--output`: fields of CSV, each a key and a value of some type. Pure."""

from __future__ import annotations

from typing import Final

from tiffin.booleans import EITHER, TRUE
from tiffin.errors import InvalidError
from tiffin.fields import split_fields

_USAGE: Final = "write --output type=local,dest=FOLDER, type=tar, oci, docker, image or registry"
_QUOTE: Final = "a value with commas stands in quotes, as in 'type=image,\"name=a,b\",push=true'"


class Options:
    """The options of one `--output`, read by their types."""

    def __init__(self, text: str, values: dict[str, str]) -> None:
        self.text = text
        self._values = values

    def given(self, key: str) -> bool:
        """Whether the option is there."""
        return key in self._values

    def get(self, key: str) -> str | None:
        """Return the value as it was written."""
        return self._values.get(key)

    def flag(self, key: str, default: bool = False) -> bool:
        """Return the value of a switch, `default` if it is not there. Raises InvalidError."""
        value = self._values.get(key)
        if value is None:
            return default
        word = value.lower() or "true"  # BuildKit takes `push=` for yes
        if word not in EITHER:
            raise invalid(self.text, f"{key} is {value!r}, and it must be true or false")
        return word in TRUE

    def number(self, key: str) -> int | None:
        """Return the value of a number. Raises InvalidError."""
        value = self._values.get(key)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) < 4):
            raise invalid(self.text, f"{key} is {value!r}, and it must be a number")
        return int(value)


def read_fields(text: str) -> list[str]:
    """Return the fields of an output, in which a value with commas stands in quotes. Raises InvalidError."""
    try:
        return split_fields(text)
    except ValueError as error:
        raise invalid(text, str(error), _QUOTE) from None


def read_field(field: str, text: str) -> tuple[str, str]:
    """Return key and value of a field of `text`; keys are in lower case, but for those of annotations."""
    key, equals, value = field.partition("=")
    if not equals:
        raise invalid(text, f"{field!r} is no KEY=VALUE", _QUOTE if "," in text else "")
    key = key.strip()
    return key if key.startswith("annotation") else key.lower(), value


def invalid(text: str, why: str, hint: str = "") -> InvalidError:
    """Return the error for the output `text`."""
    return InvalidError(f"--output {text}: {why}", code="invalid-output", hint=hint or _USAGE)
