"""The services of Compose files → targets, as far as they have something to build.

Pure. What a service does when it runs is of no interest here, but for the variables
that arguments without a value are taken from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.bake.blocks import check_name
from tiffin.bake.compose.document import Document, Plain, merge
from tiffin.bake.compose.forms import (
    agents_of,
    attestation_of,
    contexts_of,
    flag_of,
    hosts_of,
    list_of,
    pairs_of,
    text_of,
    words_of,
)
from tiffin.bake.compose.sizes import size_text, ulimit_texts
from tiffin.bake.entries import Entry, merge_entries, parse_entry
from tiffin.bake.language.values import BadValueError
from tiffin.bake.target import FIELDS, Group, Target
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError, TiffinError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tiffin.bake.compose.document import Path
    from tiffin.bake.target import FieldValue
    from tiffin.errors import Where

_MOST_EXTENDS = 20
_X_BAKE = {
    **dict.fromkeys(("tags", "platforms", "no-cache-filter"), "list"),
    **dict.fromkeys(("cache-from", "cache-to", "secret", "ssh", "output"), "entries"),
    **dict.fromkeys(("pull", "no-cache"), "flag"),
    "contexts": "map",
}


class Services:
    """The services of files that are merged, the later over the earlier."""

    def __init__(self, documents: Sequence[Document], environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._places: dict[Path, Where] = {}
        merged: Plain = {}
        for document in documents:
            if not isinstance(document.value, dict):
                where = document.places.get(())
                raise InvalidError("a Compose file is a map with services", code="bake-compose", where=where)
            merged = merge(merged, document.value)
            self._places.update(document.places)
        assert isinstance(merged, dict)
        self._services = self._map(merged, ("services",))
        if not self._services:
            raise self._wrong((), "a Compose file needs services")
        self._secrets = self._map(merged, ("secrets",))

    def targets(self) -> list[Target]:
        """Return a target for each service with something to build."""
        found = []
        for name in sorted(self._services):
            service = self._service(name, ())
            if service.get("build") is not None:
                found.append(self._target(name, service))
        return found

    def group(self, targets: Sequence[Target]) -> Group:
        """Return the default group: all of them."""
        return Group("default", tuple(target.name for target in targets))

    # -- services

    def _service(self, name: str, above: tuple[str, ...]) -> dict[str, Plain]:
        path = ("services", name)
        value = self._services.get(name)
        if value is None and name in self._services:
            return {}
        if not isinstance(value, dict):
            hint = did_you_mean(name, self._services)
            message = f"there is no service {name}" if name not in self._services else "a service is a map"
            raise self._wrong(path, message, hint)
        if "extends" not in value:
            return value
        if name in above or len(above) > _MOST_EXTENDS:
            raise self._wrong(path, f"services extend each other: {' → '.join([*above, name])}")
        base = value["extends"]
        parent = base.get("service") if isinstance(base, dict) else base
        if not isinstance(parent, str) or (isinstance(base, dict) and "file" in base):
            raise self._wrong(
                (*path, "extends"),
                "a service can extend one of the same files only",
                "give both files with -f",
            )
        merged = merge(
            self._service(parent, (*above, name)), {k: v for k, v in value.items() if k != "extends"}
        )
        assert isinstance(merged, dict)
        return merged

    def _target(self, name: str, service: dict[str, Plain]) -> Target:
        path = ("services", name, "build")
        build = service["build"]
        build = {"context": build} if isinstance(build, str) else build
        if not isinstance(build, dict):
            raise self._wrong(path, "build is a folder, or a map")
        for key in build:
            if key not in _BUILD and not key.startswith("x-"):
                known = [*_BUILD, "x-bake"]
                hint = did_you_mean(key, known, f"it can have: {', '.join(known)}")
                raise self._wrong((*path, key), f"build has no {key!r}", hint)
        target = Target(check_name(name.replace(".", "_"), self._places.get(("services", name))))
        for key in _BUILD:
            if (value := build.get(key)) is not None:
                self._set(target, service, path, key, value)
        self._extension(target, build.get("x-bake"), (*path, "x-bake"))
        image = service.get("image")
        if not target.texts("tags") and isinstance(image, str) and image:
            target.values["tags"] = (image,)
        return target

    def _set(self, target: Target, service: dict[str, Plain], path: Path, key: str, value: Plain) -> None:
        field, read = _BUILD[key]
        try:
            found = read(self, service, value)
        except (BadValueError, TiffinError) as error:
            raise self._wrong((*path, key), f"{key}: {error.message}") from error
        if found is None or not field:
            return
        before = target.values.get(field)
        if isinstance(before, tuple) and isinstance(found, tuple):
            found = (*before, *found)
        target.values[field] = found

    def _extension(self, target: Target, extension: Plain, path: Path) -> None:
        if extension is None:
            return
        if not isinstance(extension, dict):
            raise self._wrong(path, "x-bake is a map")
        for key, value in extension.items():
            if key not in _X_BAKE:
                hint = did_you_mean(key, _X_BAKE, f"it can have: {', '.join(_X_BAKE)}")
                raise self._wrong((*path, key), f"x-bake has no {key!r}", hint)
            try:
                self._extend(target, key, value)
            except BadValueError as error:
                raise self._wrong((*path, key), f"{key}: {error.message}") from error

    def _extend(self, target: Target, field: str, value: Plain) -> None:
        match _X_BAKE[field]:
            case "flag":
                target.values[field] = flag_of(value)
            case "map":
                target.values[field] = {**contexts_of(pairs_of(value)), **target.pairs(field)}
            case "list":
                joined = (*target.texts(field), *words_of(value))
                target.values[field] = tuple(dict.fromkeys(joined))
            case _:
                entries = (*target.entries(field), *(parse_entry(field, text) for text in words_of(value)))
                target.values[field] = merge_entries(field, entries)
        assert field in FIELDS

    # -- what needs more than the value

    def arguments(self, service: dict[str, Plain], value: Plain) -> FieldValue:
        """Build arguments; those without value come from the service's environment, or from ours."""
        given = service.get("environment")
        own = {key: text for key, text in pairs_of(given).items() if text is not None} if given else {}
        found: dict[str, str | None] = {}
        for key, text in pairs_of(value).items():
            resolved = text if text is not None else own.get(key, self._environ.get(key))
            if resolved is not None:
                found[key] = resolved
        return found

    def secrets(self, service: dict[str, Plain], value: Plain) -> FieldValue:
        """Secrets that the build names, where the file says that they lie."""
        del service
        found: list[Entry] = []
        for item in list_of(value):
            name = item.get("source") if isinstance(item, dict) else item
            if not isinstance(name, str):
                raise BadValueError("a secret is named by a text")
            source = self._secrets.get(name)
            if not isinstance(source, dict):
                raise BadValueError(f"there is no secret {name} below secrets")
            if source.get("external"):
                raise BadValueError(f"the secret {name} is external, and there is nobody to ask for it")
            entry = {"id": name}
            if source.get("file"):
                entry["src"] = text_of(source["file"])
            if source.get("environment"):
                entry["env"] = text_of(source["environment"])
            found.append(entry)
        return tuple(found)

    def _map(self, merged: dict[str, Plain], path: Path) -> dict[str, Plain]:
        value = merged.get(path[0])
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(path, f"{path[0]} is a map")
        return value

    def _wrong(self, path: Path, message: str, hint: str = "") -> InvalidError:
        where = next(
            (self._places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self._places), None
        )
        return InvalidError(message, code="bake-compose", hint=hint, where=where)


def _entries(field: str) -> Callable[[Services, dict[str, Plain], Plain], FieldValue]:
    return lambda _, __, value: tuple(parse_entry(field, text) for text in words_of(value))


def _simple(read: Callable[[Plain], FieldValue | None]) -> Callable[..., FieldValue | None]:
    return lambda _, __, value: read(value)


_READ_TEXT = _simple(lambda value: text_of(value) or None)
_READ_TRUE = _simple(lambda value: flag_of(value) or None)
_READ_LIST = _simple(lambda value: tuple(words_of(value)))

# What a build section can have → the attribute of a target, and how it is read.
_BUILD: dict[str, tuple[str, Callable[[Services, dict[str, Plain], Plain], FieldValue | None]]] = {
    "context": ("context", _READ_TEXT),
    "dockerfile": ("dockerfile", _READ_TEXT),
    "dockerfile_inline": ("dockerfile-inline", _READ_TEXT),
    "args": ("args", Services.arguments),
    "target": ("target", _READ_TEXT),
    "tags": ("tags", _READ_LIST),
    "labels": ("labels", _simple(lambda value: {k: v or "" for k, v in pairs_of(value).items()})),
    "platforms": ("platforms", _READ_LIST),
    "cache_from": ("cache-from", _entries("cache-from")),
    "cache_to": ("cache-to", _entries("cache-to")),
    "secrets": ("secret", Services.secrets),
    "ssh": ("ssh", _simple(agents_of)),
    "extra_hosts": ("extra-hosts", _simple(hosts_of)),
    "network": ("network", _READ_TEXT),
    "shm_size": ("shm-size", _simple(lambda value: size_text(text_of(value)))),
    "ulimits": ("ulimits", _simple(ulimit_texts)),
    "no_cache": ("no-cache", _READ_TRUE),
    "pull": ("pull", _READ_TRUE),
    "privileged": ("entitlements", _simple(lambda value: ("security.insecure",) if flag_of(value) else None)),
    "entitlements": ("entitlements", _READ_LIST),
    "additional_contexts": ("contexts", _simple(lambda value: contexts_of(pairs_of(value)))),
    "sbom": ("attest", _simple(lambda value: attestation_of("sbom", value))),
    "provenance": ("attest", _simple(lambda value: attestation_of("provenance", value))),
    "isolation": ("", _simple(lambda _: None)),
}
