"""Entries of `cache-from`, `cache-to`, `output`, `secret`, `ssh` and `attest`.

Pure. Each may be a map or a text `key=value,…`, which is CSV. What the options of a
cache or an output mean is known below, where the build reads them.
"""

from __future__ import annotations

import csv
import io
from typing import TypeAlias

from tiffin.bake.language.values import BadValueError, Value, kind, to_text
from tiffin.booleans import TRUE
from tiffin.fields import split_fields

Entry: TypeAlias = dict[str, str]

CACHES = ("cache-from", "cache-to")
_SECRET_KEYS = {"type": "type", "id": "id", "source": "src", "src": "src", "env": "env"}


def parse_entries(field: str, value: Value) -> tuple[Entry, ...]:
    """Return the entries of the attribute `field`; empty texts are none."""
    if not isinstance(value, tuple):
        raise BadValueError(f"a list is needed, and this is {kind(value)}")
    return tuple(parse_entry(field, item) for item in value if item != "")


def parse_entry(field: str, item: Value) -> Entry:
    """Return one entry, checked for what it cannot do without."""
    if isinstance(item, dict):
        fields = {_key(key): _text(key, part) for key, part in item.items() if part is not None}
        if "disabled" in fields and fields["disabled"] not in TRUE:
            del fields["disabled"]
    else:
        fields = _from_text(field, to_text(item))
    return _checked(field, fields)


def _key(key: str) -> str:
    """Return the name of an option as the build reads it, so that nothing is another option there."""
    if "=" in key:
        raise BadValueError(f"{key[:40]!r} cannot be the name of an option")
    key = key.strip()
    return key if key.startswith("annotation") else key.lower()


def _text(key: str, part: Value) -> str:
    if key == "paths" and isinstance(part, tuple):
        return ",".join(map(to_text, part))
    return to_text(part)


def columns(text: str) -> list[str]:
    """Return the columns of a line of CSV."""
    try:
        return split_fields(text)
    except ValueError as error:
        raise BadValueError(f"{text[:80]!r} is not a list of values with commas: {error}") from error


def _from_text(field: str, text: str) -> Entry:
    if field == "ssh":
        name, _, paths = text.partition("=")
        return {"id": name, "paths": paths} if paths else {"id": name}
    parts = columns(text)
    if field in CACHES and len(parts) == 1 and "=" not in parts[0]:
        return {"type": "registry", "ref": parts[0]}
    if field == "output" and len(parts) == 1 and not parts[0].startswith("type="):
        return {"type": "tar", "dest": "-"} if parts[0] == "-" else {"type": "local", "dest": parts[0]}
    found: Entry = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise BadValueError(f"{part[:80]!r} in {text[:80]!r} is not key=value")
        found[key.strip().lower()] = value
    if field == "attest" and found.get("disabled", "true") not in TRUE:
        del found["disabled"]
    return found


def _checked(field: str, entry: Entry) -> Entry:
    match field:
        case "secret":
            return _secret(entry)
        case "ssh":
            unknown = set(entry) - {"id", "paths"}
            if unknown:
                raise BadValueError(f"ssh has no {min(unknown)!r}; it has id and paths")
            return {"id": entry.get("id") or "default", **{k: v for k, v in entry.items() if k != "id"}}
        case "attest" if "disabled" in entry:
            return {**entry, "disabled": "true"}
        case _:
            pass
    if not entry.get("type"):
        raise BadValueError("the type is missing, as in type=…")
    if field == "output" and entry["type"] == "local" and not entry.get("dest"):
        raise BadValueError("type=local needs dest=FOLDER")
    return entry


def _secret(entry: Entry) -> Entry:
    found: Entry = {}
    for key, value in entry.items():
        if key not in _SECRET_KEYS:
            raise BadValueError(f"a secret has no {key[:40]!r}; it has id, src, env and type")
        found[_SECRET_KEYS[key]] = value
    of = found.pop("type", "")
    if of not in ("", "file", "env"):
        raise BadValueError(f"there is no secret of the type {of[:40]!r}")
    if not found.get("id"):
        raise BadValueError("the secret has no id")
    if of == "env" and "src" in found:
        found["env"] = found.pop("src")
    return found


def merge_entries(field: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return entries once each; of secrets, agents and attestations the last with a name counts."""
    names = {"secret": "id", "ssh": "id", "attest": "type"}
    found: dict[object, Entry] = {}
    for entry in entries:
        key = entry[names[field]] if field in names else tuple(sorted(entry.items()))
        found[key] = entry
    return tuple(found.values())


def write_entry(field: str, entry: Entry) -> str:
    """Return the text of an entry, as options of `tiffin build` have it."""
    if field == "ssh":
        return f"{entry['id']}={entry['paths']}" if entry.get("paths") else entry["id"]
    first = [f"type={entry['type']}"] if "type" in entry else []
    rest = [f"{key}={value}" for key, value in sorted(entry.items()) if key != "type"]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([*first, *rest])
    return line.getvalue()
