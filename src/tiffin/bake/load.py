"""Texts of bake files → the targets and groups that they define, all files together.

Pure: environment, clock and machine are handed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.blocks import Blocks
from tiffin.bake.definitions import Definitions
from tiffin.bake.jsonfile import parse_json
from tiffin.bake.language.parser import parse
from tiffin.bake.selection import Config
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tiffin.bake.environment import Outside
    from tiffin.bake.files import File
    from tiffin.bake.language.ast import Body
    from tiffin.bake.language.values import Value
    from tiffin.bake.target import Group, Target


class ListedVariable(NamedTuple):
    """A variable as --list shows it."""

    name: str
    type: str
    value: Value
    description: str


class Loaded(NamedTuple):
    """What files define."""

    config: Config
    variables: tuple[ListedVariable, ...]


def load(files: Sequence[File], outside: Outside, builtins: Mapping[str, str], dotenv: str) -> Loaded:
    """Return what `files` define; Compose files come first, since bake files may change their targets."""
    bodies: list[Body] = []
    compose: list[File] = []
    for file in files:
        body = _body(file)
        if body is None:
            compose.append(file)
        else:
            bodies.append(body)
    targets, groups = _compose(compose, outside, dotenv) if compose else ([], [])
    try:
        definitions = Definitions(bodies, outside, builtins)
        blocks = Blocks(definitions)
        definitions.check()
        targets, groups = _joined(targets, blocks.targets()), [*groups, *blocks.groups()]
        variables = tuple(_variables(definitions))
    except RecursionError as error:
        raise InvalidError("definitions lean on others too many times", code="bake-too-much") from error
    groups = list({group.name: group for group in groups}.values())
    return Loaded(Config(tuple(targets), tuple(groups)), variables)


def _joined(first: list[Target], second: Iterable[Target]) -> list[Target]:
    found = {target.name: target for target in first}
    for target in second:
        if target.name in found:
            found[target.name].merge(target)
        else:
            found[target.name] = target
    return list(found.values())


def _variables(definitions: Definitions) -> Iterable[ListedVariable]:
    for name in sorted(definitions.variables):
        variable = definitions.variables[name]
        value = definitions.value(name, (), variable.place)
        declared = variable.declared.familiar if variable.declared else ""
        yield ListedVariable(name, declared, value, variable.description)


def _body(file: File) -> Body | None:
    """Return the body of a bake file, or None for a Compose file; its name says what it is, or its text."""
    name = file.name.lower()
    if name.endswith((".yml", ".yaml")):
        return None
    if name.endswith(".json"):
        return parse_json(file.text, file.name)
    if name.endswith(".hcl"):
        return parse(file.text, file.name)
    if file.text.lstrip().startswith("{"):
        body = parse_json(file.text, file.name)
        return None if "services" in body.attributes else body
    try:
        return parse(file.text, file.name)
    except InvalidError:
        if any(line.startswith(("services:", "secrets:")) for line in file.text.splitlines()):
            return None
        raise


def _compose(files: Sequence[File], outside: Outside, dotenv: str) -> tuple[list[Target], list[Group]]:
    from tiffin.bake.compose.document import Document
    from tiffin.bake.compose.interpolate import parse_dotenv
    from tiffin.bake.compose.services import Services

    environ = {} if outside.closed else dict(outside.environ)
    environ = {**parse_dotenv(dotenv, environ), **environ, **outside.given}
    services = Services([Document(file.text, file.name, environ) for file in files], environ)
    targets = services.targets()
    return targets, [services.group(targets)]
