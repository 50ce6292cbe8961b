"""Bodies of bake files → what they define: variables, functions, attributes, targets and groups.

Pure. A value is found when it is first asked for, whatever the order in the files;
a definition that needs itself is refused with the way around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.bake.declarations import Function, Variable, needed, read_function, read_variable
from tiffin.bake.functions import table
from tiffin.bake.language.ast import Attribute, Body, Literal
from tiffin.bake.language.evaluate import MOST_STEPS, Scope, evaluate, too_much
from tiffin.bake.language.text import invalid
from tiffin.bake.language.typeexpr import convert
from tiffin.bake.language.values import BadValueError, Value, to_bool, to_text
from tiffin.bake.language.walk import calls
from tiffin.dockerfile.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tiffin.bake.environment import Outside
    from tiffin.bake.language.ast import Block, Call, GetIndex, GetName, Splat
    from tiffin.bake.language.text import Place

BLOCKS = ("target", "group", "variable", "function")


class Definitions:
    """All that files define, and the names that their expressions see.

    `blocks` answers for `target.NAME` and `group.NAME`: it is asked with the kind of
    the block, its name and the attribute wanted, and gives a value for each.
    """

    def __init__(self, bodies: Sequence[Body], outside: Outside, builtins: Mapping[str, str]) -> None:
        self.variables: dict[str, Variable] = {}
        self.functions: dict[str, Function] = {}
        self.attributes: dict[str, Attribute] = {}
        self.blocks: list[Block] = []
        self.look_up_block: Callable[[str, str, str | None, Place], Value] | None = None
        self._outside = outside
        self._values: dict[str, Value] = dict(builtins)
        self._under_way: list[tuple[str, Place]] = []
        self._steps = 0
        self._checked: set[str] = set()
        for body in bodies:
            self._gather(body)
        self.attributes = {k: v for k, v in self.attributes.items() if k not in builtins}

    def check(self) -> None:
        """Find every value, so that what is wrong anywhere is said even if nothing needs it."""
        for function in self.functions.values():
            self._check_cycles(function, [])
        for variable in self.variables.values():
            self.value(variable.name, (), variable.place)
        for variable in self.variables.values():
            self._validate(variable)
        for attribute in self.attributes.values():
            self.value(attribute.name, (), attribute.place)

    # -- gathering

    def _gather(self, body: Body) -> None:
        self.attributes.update(body.attributes)
        for block in body.blocks:
            if block.kind not in BLOCKS:
                hint = did_you_mean(block.kind, BLOCKS, f"there are: {', '.join(BLOCKS)}")
                raise invalid(f"there are no blocks of the kind {block.kind!r}", block.place, hint=hint)
            if len(block.labels) != 1:
                raise invalid(f'a {block.kind} needs one name: {block.kind} "NAME" {{', block.label_place)
            if block.kind == "variable":
                self.variables[block.labels[0]] = read_variable(block)
            elif block.kind == "function":
                self.functions[block.labels[0]] = read_function(block)
            else:
                self.blocks.append(block)

    # -- names, as expressions ask for them

    def value(self, name: str, steps: Sequence[GetName | GetIndex | Splat], place: Place) -> Value:
        """Return the value of a name outside of all loops and parameters."""
        if name in ("target", "group") and name not in self.attributes:
            return self._block(name, steps, place)
        if name not in self._values:
            with self.under_way(name, place):
                self._values[name] = self._find(name, place)
        return self._values[name]

    def call(self, name: str, arguments: Sequence[Value], call: Call) -> Value:
        """Return what a function of the language, or one of the files, gives."""
        if name in table.TABLE:
            try:
                return table.call(name, arguments)
            except BadValueError as error:
                raise invalid(error.message, call.place) from error
        if name in self._outside.sources:
            if arguments:
                raise invalid(f"{name} takes no argument", call.place)
            return self._outside.sources[name]()
        if name not in self.functions:
            known = [*table.TABLE, *self.functions, "can", "try", "convert"]
            hint = table.ABSENT.get(name) or did_you_mean(name, known)
            raise invalid(f"there is no function {name}", call.name_place, hint=hint)
        return self._call(self.functions[name], arguments, call)

    def spend(self, place: Place) -> None:
        """Count a step."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise too_much(f"the file asks for more than {MOST_STEPS} steps", place)

    def under_way(self, name: str, place: Place) -> AbstractContextManager[None]:
        """Mark `name` as being worked out; to come upon it again is a cycle."""
        return _UnderWay(self._under_way, name, place)

    # -- finding values

    def _block(self, kind: str, steps: Sequence[GetName | GetIndex | Splat], place: Place) -> Value:
        names: list[str] = []
        for step in steps[:2]:
            key: Value = getattr(step, "name", None)
            if key is None and isinstance(literal := getattr(step, "key", None), Literal):
                key = literal.value
            if not isinstance(key, str):
                break
            names.append(key)
        if not names or self.look_up_block is None:
            raise invalid(f"{kind} is not a value; write {kind}.NAME.ATTRIBUTE", place)
        return {names[0]: self.look_up_block(kind, names[0], names[1] if len(names) > 1 else None, place)}

    def _find(self, name: str, place: Place) -> Value:
        variable, attribute = self.variables.get(name), self.attributes.get(name)
        if variable is None and attribute is None:
            known = [*self.variables, *self.attributes]
            hint = did_you_mean(name, known, f'define it: variable "{name}" {{}}')
            raise invalid(f"there is no variable {name}", place, hint=hint)
        default = attribute.expression if attribute else variable.default if variable else None
        value = None if default is None else evaluate(default, Scope(self))
        if variable is None:
            return value
        return self._variable(variable, value, has_default=default is not None)

    def _variable(self, variable: Variable, default: Value, *, has_default: bool) -> Value:
        declared = variable.declared
        try:
            value = convert(default, declared) if declared else default
        except BadValueError as error:
            raise invalid(f"the default of {variable.name}: {error.message}", variable.place) from error
        try:
            found = self._outside.override(variable.name, declared, value, has_default=has_default)
        except BadValueError as error:
            raise invalid(
                f"{variable.name} as it is set from outside: {error.message}", variable.place
            ) from error
        # without anything said of it, a variable is an empty text
        return "" if found is None and not has_default and declared is None else found

    def _validate(self, variable: Variable) -> None:
        scope = Scope(self)
        for block in variable.validations:
            condition = needed(block, "condition")
            message = needed(block, "error_message")
            try:
                holds = to_bool(evaluate(condition.expression, scope))
                text = "" if holds else to_text(evaluate(message.expression, scope))
            except BadValueError as error:
                raise invalid(f"the condition: {error.message}", condition.place) from error
            if not holds:
                raise invalid(
                    f"{variable.name} is not valid: {text}",
                    condition.expression.place,
                    code="bake-validation",
                )

    def _call(self, function: Function, arguments: Sequence[Value], call: Call) -> Value:
        count = len(function.parameters)
        if len(arguments) < count or (len(arguments) > count and function.rest is None):
            least = "at least " if function.rest else ""
            raise invalid(
                f"{function.name} takes {least}{count} arguments, and was given {len(arguments)}", call.place
            )
        for name, argument in zip(function.parameters, arguments, strict=False):
            if argument is None:
                raise invalid(f"the argument {name} of {function.name} is null", call.place)
        local = dict(zip(function.parameters, arguments, strict=False))
        if function.rest:
            local[function.rest] = tuple(arguments[count:])
        return evaluate(function.result, Scope(self, local))

    def _check_cycles(self, function: Function, above: list[str]) -> None:
        if function.name in above:
            way = " → ".join([*above[above.index(function.name) :], function.name])
            raise invalid(f"functions cannot call themselves: {way}", function.place, code="bake-cycle")
        if function.name in self._checked:
            return
        for name in calls(function.result):
            if name in self.functions and name not in table.TABLE:
                self._check_cycles(self.functions[name], [*above, function.name])
        self._checked.add(function.name)


class _UnderWay:
    """Names that are being worked out, one within the other."""

    def __init__(self, names: list[tuple[str, Place]], name: str, place: Place) -> None:
        self._names, self._name, self._place = names, name, place

    def __enter__(self) -> None:
        names = [name for name, _ in self._names]
        if self._name in names:
            way = " → ".join([*names[names.index(self._name) :], self._name])
            raise invalid(f"{self._name} is needed to know itself: {way}", self._place, code="bake-cycle")
        self._names.append((self._name, self._place))

    def __exit__(self, *_: object) -> None:
        self._names.pop()
