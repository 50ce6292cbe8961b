"""Selections as `--print` shows them, and what `--list` tells.

Pure.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.functions.encoding import to_json
from tiffin.bake.target import FIELDS, FieldValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.bake.entries import Entry
    from tiffin.bake.load import ListedVariable
    from tiffin.bake.selection import Config, Selection
    from tiffin.bake.target import Target

# Texts that may hold what would be read as a template when the document is used as a bake file.
_ESCAPED = ("annotations", "dockerfile-inline", "labels", "args", "extra-hosts")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def print_selection(selection: Selection) -> str:
    """Return the document of --print, which is a bake file itself."""
    groups = {name: _group(selection, name) for name in sorted(selection.groups)}
    document = {
        "group": groups,
        "target": {name: _target(selection.targets[name]) for name in sorted(selection.targets)},
    }
    return write_json(document if groups else {"target": document["target"]})


def write_json(document: object) -> str:
    """Return a document as Docker's tools write it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return "".join(_HTML.get(char, char) for char in text)


def _group(selection: Selection, name: str) -> dict[str, object]:
    group = selection.groups[name]
    description = {"description": group.description} if group.description else {}
    return {**description, "targets": list(group.targets)}


def _target(target: Target) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in FIELDS:
        value = target.values.get(field)
        if value is None or value in ((), {}) or (field == "description" and not value):
            continue
        found[field] = _value(field, value)
    return found


def _value(field: str, value: FieldValue) -> object:
    match value:
        case bool():
            return value
        case str():
            return _path(value) if field == "context" else _escape(field, value)
        case dict():
            given = ((key, text) for key, text in sorted(value.items()) if text is not None)
            return {key: _escape(field, text) for key, text in given}
        case _:
            return [_escape(field, item) if isinstance(item, str) else _entry(field, item) for item in value]


def _path(context: str) -> str:
    """Return a context cleaned if it is a folder, as it is if it is elsewhere."""
    path = context.removeprefix("cwd://")
    return context if "://" in path or path.startswith("git@") else posixpath.normpath(path or ".")


def _escape(field: str, text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{") if field in _ESCAPED else text


def _entry(field: str, entry: Entry) -> dict[str, object]:
    found: dict[str, object] = dict(entry)
    if field == "ssh" and "paths" in entry:
        found["paths"] = entry["paths"].split(",")
    if field == "attest" and "disabled" in entry:
        found["disabled"] = True
    if field in ("secret", "ssh"):  # these have an order of their own
        order = ("id", "src", "env", "paths")
        return {key: found[key] for key in order if key in found}
    return {key: found[key] for key in sorted(found)}


class Listing(NamedTuple):
    """What --list shows: a table, its heading first, or documents."""

    rows: list[list[str]]
    documents: list[dict[str, object]]


def list_targets(config: Config) -> Listing:
    """Return targets and groups with what they are; names that begin with _ are not for users."""
    found: dict[str, dict[str, object]] = {}
    for target in config.targets:
        found[target.name] = _described(target.name, target.text("description") or "")
    for group in config.groups:
        members = ", ".join(sorted(group.targets))
        text = f"{group.description} ({members})" if group.description else members
        found[group.name] = {**_described(group.name, text), "group": True}
    documents = [found[name] for name in sorted(found) if not name.startswith("_")]
    rows = [[str(one["name"]), str(one.get("description", ""))] for one in documents]
    return Listing([["TARGET", "DESCRIPTION"], *rows], documents)


def _described(name: str, description: str) -> dict[str, object]:
    return {"name": name, "description": description} if description else {"name": name}


def list_variables(variables: Sequence[ListedVariable]) -> Listing:
    """Return the variables with their types and values."""
    rows, documents = [["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"]], list[dict[str, object]]()
    for one in variables:
        value = None if one.value is None else one.value if isinstance(one.value, str) else to_json(one.value)
        rows.append([one.name, one.type, "<null>" if value is None else value, one.description])
        document: dict[str, object] = {"name": one.name}
        given = (("description", one.description), ("type", one.type))
        document.update({key: text for key, text in given if text})
        documents.append(document if value is None else {**document, "value": value})
    return Listing(rows, documents)
