"""The settings file, `tiffin.toml`: the user's and the machine's, or the one that TIFFIN_CONFIG names.

What the user's says of a registry or an alias wins over what the machine's says of the same. Who reads a
table knows what it means; here only names that nobody knows are refused.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "TIFFIN_CONFIG"
_TABLES: Final = ("aliases", "mirrors")
_LISTS: Final = ("insecure-registries",)


class SettingsFile(NamedTuple):
    """One file: where it lies, and what it says."""

    path: Path
    mirrors: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    insecure: tuple[str, ...]


def settings_paths(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[Path, ...]:
    """Where settings files can be, the user's first."""
    named = environ.get(VARIABLE)
    if named is not None:
        return (Path(named),) if named else ()
    home, config = environ.get("HOME"), environ.get("XDG_CONFIG_HOME")
    user = Path(config) if config else Path(home, ".config") if home else None
    return (*([user / "tiffin/tiffin.toml"] if user else []), root / "etc/tiffin/tiffin.toml")


def read_settings(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[SettingsFile, ...]:
    """Read what there is of them, the user's first. Raises InvalidError with the file and the name in it."""
    found = []
    for path in settings_paths(environ, root):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            if environ.get(VARIABLE):
                raise InvalidError(
                    f"{VARIABLE} names {path}, which cannot be read: {error.strerror}", code="settings-file"
                ) from None
            continue
        found.append(_parse(data, path))
    return tuple(found)


@lru_cache(maxsize=4)  # a build asks for each of its bases what is taken for it
def _parse(data: bytes, path: Path) -> SettingsFile:
    import tomllib  # most machines have no such file

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid(path, f"it is not valid TOML: {error}") from None
    for name in document:
        if name not in (*_TABLES, *_LISTS):
            raise _invalid(
                path, f"there is no setting {name!r}", f"known are {', '.join((*_TABLES, *_LISTS))}"
            )
    mirrors = {key: _texts(value, path, f"mirrors.{key}") for key, value in _table(document, "mirrors", path)}
    aliases = {key: _text(value, path, f"aliases.{key}") for key, value in _table(document, "aliases", path)}
    insecure = _texts(document.get("insecure-registries", []), path, "insecure-registries")
    return SettingsFile(path, mirrors, aliases, insecure)


def _table(document: Mapping[str, Any], name: str, path: Path) -> list[tuple[str, Any]]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise _invalid(path, f"{name} is no table", f'write [{name}] and below it "NAME" = …')
    return list(found.items())


def _text(value: Any, path: Path, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(path, f"{name} is no text")
    return value


def _texts(value: Any, path: Path, name: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise _invalid(path, f"{name} is neither a text nor a list of texts")
    return tuple(listed)


def _invalid(path: Path, what: str, hint: str = "") -> InvalidError:
    return InvalidError(f"{path}: {what}", code="settings-file", hint=hint)
