"""The environment that is asked for: `-e` and `--env-file`, read as Docker reads them (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["merge", "parse_env", "parse_env_file"]


def parse_env(text: str, host: Mapping[str, str]) -> tuple[str, str | None]:
    """Return name and value of one `-e`; a name alone takes the host's value, None if there is none."""
    name, separator, value = text.partition("=")
    if not name:
        raise InvalidError(f"-e {text}: the name of the variable is missing", hint="write -e NAME=value")
    return name, value if separator else host.get(name)


def parse_env_file(data: bytes, name: str, host: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Return the variables of an `--env-file`: NAME=value or NAME on a line, # at the start for a comment.

    As Docker reads it: a value is taken as it stands, quotes and spaces too, and a name that the host has not
    is passed over.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidError(
            f"{name}: byte {error.start} is not UTF-8", hint="save the file as UTF-8"
        ) from None
    found: list[tuple[str, str | None]] = []
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        variable, separator, value = line.partition("=")
        if not variable or any(space.isspace() for space in variable):
            what = f"the name {variable!r} contains whitespace" if variable else "the name is missing"
            raise InvalidError(f"{name}:{number}: {what}", hint="write NAME=value, without quotes")
        if separator or variable in host:
            found.append((variable, value if separator else host[variable]))
    return found


def merge(
    image: Iterable[str], asked: Iterable[tuple[str, str | None]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is left of the image's variables, and those that were asked for, the later one of a name.

    A name that was asked for without a value, which the host does not have either, is taken away.
    """
    wanted = dict(asked)
    kept = tuple(item for item in image if wanted.get(item.partition("=")[0], "") is not None)
    return kept, tuple(f"{name}={value}" for name, value in wanted.items() if value is not None)
