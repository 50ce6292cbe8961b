"""Secrets of a build: `--secret` → values, which only the steps that mount them see.

A value is held in memory, and goes from there into the memory of a step. It is
part of no cache key, of no message, and of nothing that is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError, NotFoundError
from tiffin.fields import split_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LARGEST = 500 << 10
_KEYS = ("id", "src", "source", "env", "type")


class SecretFlag(NamedTuple):
    """One `--secret`: its id, and the file or the variable that has its value."""

    id: str
    file: str = ""
    variable: str = ""


def parse_secret(text: str, environ: Mapping[str, str]) -> SecretFlag:
    """Return what `--secret text` says; without file and variable the id names one or the other.

    Raises InvalidError.
    """
    values: dict[str, str] = {}
    try:
        fields = split_fields(text)
    except ValueError as error:
        raise _invalid(text, str(error)) from None
    for field in fields:
        key, equals, value = field.partition("=")
        name = "src" if key.lower() == "source" else key.lower()
        if not equals or name not in _KEYS:
            raise _invalid(text, f"{field!r} is none of id=, src=, env= and type=")
        values[name] = value
    identity = values.get("id", "")
    if not identity:
        raise _invalid(text, "the id is missing")
    kind = values.get("type", "")
    if kind not in ("", "file", "env"):
        raise _invalid(text, f"there is no type {kind}")
    file, variable = values.get("src", ""), values.get("env", "")
    if kind == "env" and not variable:
        file, variable = "", file
    if file and variable:
        raise _invalid(text, "it is either a file or a variable")
    if not file and not variable:
        file, variable = ("", identity) if identity in environ and kind != "file" else (identity, "")
    return SecretFlag(identity, file, variable)


def read_secrets(flags: Iterable[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """Return the value of each secret by its id; a variable that is not set is an empty secret, as in Docker.

    Raises InvalidError or NotFoundError.
    """
    found: dict[str, bytes] = {}
    for text in flags:
        flag = parse_secret(text, environ)
        if flag.variable:
            found[flag.id] = environ.get(flag.variable, "").encode("utf-8", "surrogateescape")
        else:
            found[flag.id] = _read(flag)
    return found


def _read(flag: SecretFlag) -> bytes:
    try:
        with Path(flag.file).open("rb") as file:
            value = file.read(LARGEST + 1)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise NotFoundError(
            f"the file of the secret {flag.id} cannot be read: {error.strerror}: {flag.file}",
            code="secret-file",
            hint=f"name it with --secret id={flag.id},src=FILE, or a variable with env=NAME",
        ) from error
    if len(value) > LARGEST:
        raise InvalidError(
            f"the secret {flag.id} is larger than {LARGEST >> 10} KiB: {flag.file}",
            code="secret-too-large",
            hint="mount large files with --mount=type=bind from a context of their own",
        )
    return value


def _invalid(text: str, why: str) -> InvalidError:
    return InvalidError(
        f"--secret {text}: {why}",
        code="invalid-secret",
        hint="write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE",
    )
