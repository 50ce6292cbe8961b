"""Blocks of definitions → targets and groups: a matrix makes several of one.

Pure. Attributes are worked out one by one when they are asked for, since expressions
may refer to those of other targets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.bake.declarations import attributes_of
from tiffin.bake.language.evaluate import Scope, evaluate
from tiffin.bake.language.text import invalid
from tiffin.bake.language.values import BadValueError, Value, kind, to_text
from tiffin.bake.target import FIELDS, Group, Target, as_value, field_value
from tiffin.dockerfile.nearest import did_you_mean
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.bake.definitions import Definitions
    from tiffin.bake.language.ast import Attribute, Block
    from tiffin.bake.language.text import Place
    from tiffin.bake.target import FieldValue
    from tiffin.errors import Where

_TARGET = (*FIELDS, "name", "matrix")
_GROUP = ("targets", "description")
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MOST = 1000


class Instance:
    """A target or group that a block makes, with the values of its matrix."""

    def __init__(self, block: Block, attributes: dict[str, Attribute], name: str, scope: Scope) -> None:
        self.block = block
        self.attributes = attributes
        self.name = name
        self.scope = scope
        self.done: dict[str, FieldValue | None] = {}


class Blocks:
    """The targets and groups of definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._instances = [instance for block in definitions.blocks for instance in self._instances_of(block)]
        definitions.look_up_block = self._look_up

    def targets(self) -> list[Target]:
        """Return all targets, those of one name merged in their order."""
        found: dict[str, Target] = {}
        for instance in self._instances:
            if instance.block.kind == "target":
                found.setdefault(instance.name, Target(instance.name)).merge(self._target(instance))
        return list(found.values())

    def groups(self) -> list[Group]:
        """Return all groups; a block with a matrix is one too, of all that it makes."""
        found: dict[str, Group] = {}
        made: dict[str, list[str]] = {}
        for instance in self._instances:
            if instance.block.kind == "group":
                found[instance.name] = self._group(instance)
            else:
                made.setdefault(instance.block.labels[0], []).append(instance.name)
        for name, names in made.items():
            names = list(dict.fromkeys(names))  # noqa: PLW2901 - the same names, once each
            if names != [name] and name not in found:
                found[name] = Group(name, tuple(names))
        return list(found.values())

    # -- names

    def _instances_of(self, block: Block) -> list[Instance]:
        attributes = attributes_of(block, _TARGET if block.kind == "target" else _GROUP)
        label = _named(block.labels[0], block.label_place)
        if block.kind == "group" and "targets" not in attributes:
            raise invalid(f"the group {label} has no targets", block.label_place)
        if "matrix" not in attributes:
            if "name" in attributes:
                hint = f"the name of the target is {label}; leave name away"
                raise invalid("a name is for targets with a matrix", attributes["name"].place, hint=hint)
            return [Instance(block, attributes, label, Scope(self._definitions))]
        found = [
            Instance(block, attributes, self._name(attributes.get("name"), label, scope), scope)
            for scope in self._scopes(attributes["matrix"])
        ]
        self._check_names(block, found)
        return found

    def _name(self, attribute: Attribute | None, label: str, scope: Scope) -> str:
        if attribute is None:
            return label
        value = evaluate(attribute.expression, scope)
        try:
            return _named(to_text(value), attribute.expression.place)
        except BadValueError as error:
            raise invalid(f"the name: {error.message}", attribute.expression.place) from error

    def _check_names(self, block: Block, instances: list[Instance]) -> None:
        names = [instance.name for instance in instances]
        for name in names:
            if names.count(name) > 1:
                raise invalid(
                    f"the matrix makes two targets named {name}",
                    block.label_place,
                    hint='give them names with what differs: name = "app-${item}"',
                )

    def _scopes(self, matrix: Attribute) -> list[Scope]:
        place = matrix.expression.place
        axes = evaluate(matrix.expression, Scope(self._definitions))
        if not isinstance(axes, dict):
            raise invalid(f"a matrix is a map of lists, and this is {kind(axes)}", place)
        scopes = [Scope(self._definitions)]
        for axis in sorted(axes):
            values = axes[axis]
            if not isinstance(values, tuple | dict):
                raise invalid(f"{axis} of the matrix must be a list, and is {kind(values)}", place)
            items = values if isinstance(values, tuple) else tuple(values[key] for key in sorted(values))
            if len(scopes) * len(items) > _MOST:
                raise invalid(f"the matrix makes more than {_MOST} targets", place)
            scopes = [scope.within({axis: item}) for item in items for scope in scopes]
        return scopes

    # -- attributes

    def _target(self, instance: Instance) -> Target:
        values = {field: self._field(instance, field) for field in FIELDS if field in instance.attributes}
        return Target(instance.name, {field: value for field, value in values.items() if value is not None})

    def _group(self, instance: Instance) -> Group:
        targets = self._field(instance, "targets")
        description = self._field(instance, "description")
        names = tuple(str(item) for item in targets) if isinstance(targets, tuple) else ()
        return Group(instance.name, names, description if isinstance(description, str) else "")

    def _field(self, instance: Instance, field: str) -> FieldValue | None:
        if field not in instance.done:
            attribute = instance.attributes.get(field)
            instance.done[field] = None if attribute is None else self._value(instance, field, attribute)
        return instance.done[field]

    def _value(self, instance: Instance, field: str, attribute: Attribute) -> FieldValue | None:
        name = f"{instance.block.kind}.{instance.name}.{field}"
        with self._definitions.under_way(name, attribute.place):
            value = evaluate(attribute.expression, instance.scope)
        try:
            return field_value("inherits" if field == "targets" else field, value)
        except BadValueError as error:
            raise invalid(f"{field}: {error.message}", attribute.expression.place) from error

    def _look_up(self, block: str, name: str, field: str | None, place: Place) -> Value:
        named = [one for one in self._instances if one.block.kind == block]
        mine = [one for one in named if one.name == name]
        if not mine:
            hint = did_you_mean(name, [one.name for one in named])
            raise invalid(f"there is no {block} {name}", place, hint=hint)
        fields = FIELDS if block == "target" else _GROUP
        found: dict[str, Value] = {"name": name}
        for wanted in fields if field is None else (field,) if field in fields else ():
            given = [one for one in mine if wanted in one.attributes]
            found[wanted] = as_value(self._field(given[-1], wanted)) if given else None
        return found


def _named(name: str, place: Place) -> str:
    return check_name(name, place.where)


def check_name(name: str, where: Where | None) -> str:
    """Return `name` if it can be that of a target or group."""
    if not _NAME.fullmatch(name):
        raise InvalidError(
            f"{name[:80]!r} cannot be the name of a target or group",
            code="bake-name",
            where=where,
            hint="names have letters, digits, - and _; sanitize() replaces everything else",
        )
    return name
