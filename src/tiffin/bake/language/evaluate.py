"""Expression + names → value.

Pure but for what the scope's names do when they are asked for. Work and size are
bounded: a bake file is text from somewhere, and may be made to exhaust the machine.
"""

from __future__ import annotations

from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TYPE_CHECKING, Protocol

from tiffin.bake.language.access import attribute, index
from tiffin.bake.language.ast import (
    Call,
    Chain,
    Conditional,
    For,
    GetIndex,
    GetName,
    Literal,
    ObjectOf,
    Splat,
    Template,
    TemplateFor,
    TemplateIf,
    Traverse,
    TupleOf,
    Unary,
    Variable,
)
from tiffin.bake.language.text import invalid
from tiffin.bake.language.typeexpr import convert, parse_type
from tiffin.bake.language.values import (
    NUMBERS,
    BadValueError,
    Value,
    entries,
    equal,
    kind,
    to_bool,
    to_number,
    to_text,
    unify,
)
from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tiffin.bake.language.ast import Expression
    from tiffin.bake.language.text import Place

MOST_STEPS = 300_000
LONGEST_TEXT = 4 << 20
_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": NUMBERS.add,
    "-": NUMBERS.subtract,
    "*": NUMBERS.multiply,
    "/": NUMBERS.divide,
    "%": NUMBERS.remainder,
}
_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": Decimal.__lt__,
    ">": Decimal.__gt__,
    "<=": Decimal.__le__,
    ">=": Decimal.__ge__,
}


class Names(Protocol):
    """What is known outside an expression."""

    def value(self, name: str, steps: Sequence[GetName | GetIndex | Splat], place: Place) -> Value:
        """Return the value of a name; `steps` tell which part of it will be taken."""

    def call(self, name: str, arguments: Sequence[Value], call: Call) -> Value:
        """Return what a function gives for `arguments`."""

    def spend(self, place: Place) -> None:
        """Count one step of evaluation; it is an error to take too many."""


class Scope:
    """The names that an expression sees: those of loops, parameters and a matrix before those outside."""

    __slots__ = ("local", "outer")

    def __init__(self, outer: Names, local: Mapping[str, Value] | None = None) -> None:
        self.outer = outer
        self.local = local or {}

    def within(self, local: Mapping[str, Value]) -> Scope:
        """Return the scope with further names."""
        return Scope(self.outer, {**self.local, **local})


def evaluate(expression: Expression, scope: Scope) -> Value:
    """Return the value of `expression`; what cannot be is an InvalidError with its place."""
    scope.outer.spend(expression.place)
    try:
        return _evaluate(expression, scope)
    except BadValueError as error:
        raise invalid(error.message, expression.place) from error


def _evaluate(expression: Expression, scope: Scope) -> Value:
    match expression:
        case Literal(value, _):
            return value
        case Variable(name, place):
            return scope.local[name] if name in scope.local else scope.outer.value(name, (), place)
        case Template():
            return _template_value(expression, scope)
        case Traverse():
            return _traverse(expression, scope)
        case Call():
            return _call(expression, scope)
        case Unary():
            return _unary(expression, scope)
        case Chain():
            return _chain(expression, scope)
        case Conditional():
            return _conditional(expression, scope)
        case TupleOf(items, _):
            return tuple(evaluate(item, scope) for item in items)
        case ObjectOf(items, _):
            return {_key(key, scope): evaluate(value, scope) for key, value in items}
        case For():
            return _for(expression, scope)


def _key(expression: Expression, scope: Scope) -> str:
    value = evaluate(expression, scope)
    try:
        return to_text(value)
    except BadValueError as error:
        raise invalid(f"as a key of a map, {error.message}", expression.place) from error


# -- operators


def _needed(convert_to: Callable[[Value], object], expression: Expression, scope: Scope) -> object:
    value = evaluate(expression, scope)
    try:
        return convert_to(value)
    except BadValueError as error:
        raise invalid(error.message, expression.place) from error


def _number(expression: Expression, scope: Scope) -> Decimal:
    found = _needed(to_number, expression, scope)
    assert isinstance(found, Decimal)
    return found


def _bool(expression: Expression, scope: Scope) -> bool:
    return _needed(to_bool, expression, scope) is True


def _unary(expression: Unary, scope: Scope) -> Value:
    if expression.operator == "!":
        return not _bool(expression.operand, scope)
    return NUMBERS.minus(_number(expression.operand, scope))


def _chain(expression: Chain, scope: Scope) -> Value:
    left = expression.first
    value: Value = None
    for place, (operator, right) in enumerate(expression.rest):
        value = _binary(left, operator, right, scope, expression.place)
        if place + 1 < len(expression.rest):
            left = Literal(value, left.place)
    return value


def _binary(left: Expression, operator: str, right: Expression, scope: Scope, place: Place) -> Value:
    if operator in ("==", "!="):
        return equal(evaluate(left, scope), evaluate(right, scope)) is (operator == "==")
    if operator in ("&&", "||"):
        first, second = _bool(left, scope), _bool(right, scope)
        return (first and second) if operator == "&&" else (first or second)
    one, other = _number(left, scope), _number(right, scope)
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](one, other)
    try:
        return _ARITHMETIC[operator](one, other)
    except (DivisionByZero, InvalidOperation) as error:
        raise invalid("a number is divided by zero", place) from error
    except Overflow as error:
        raise invalid("the number is too large", place) from error


def _conditional(expression: Conditional, scope: Scope) -> Value:
    """Return one branch; the other only says which kind the value has to be, if it says anything."""
    if _needed(_not_null, expression.condition, scope) is True:
        taken, other = expression.yes, expression.no
    else:
        taken, other = expression.no, expression.yes
    value = evaluate(taken, scope)
    try:
        beside = evaluate(other, scope)
    except InvalidError:
        return value
    try:
        return unify([value, beside])[0]
    except BadValueError as error:
        raise invalid(
            f"the two results must be of one kind: one is {kind(value)}, the other {kind(beside)}",
            expression.place,
        ) from error


def _not_null(value: Value) -> bool:
    if value is None:
        raise BadValueError("the condition is null")
    return to_bool(value)


# -- steps


def _traverse(expression: Traverse, scope: Scope) -> Value:
    base, steps = expression.base, expression.steps
    if isinstance(base, Variable) and base.name not in scope.local:
        value = scope.outer.value(base.name, steps, base.place)
    else:
        value = evaluate(base, scope)
    for step in steps:
        value = _step(value, step, scope)
    return value


def _step(value: Value, step: GetName | GetIndex | Splat, scope: Scope) -> Value:
    match step:
        case GetName(name, place):
            return attribute(value, name, place)
        case GetIndex(key, place):
            return index(value, evaluate(key, scope), place)
        case Splat(each, place):
            items: tuple[Value, ...] = value if isinstance(value, tuple) else (value,)
            if value is None:
                return ()
            found: list[Value] = []
            for item in items:
                scope.outer.spend(place)
                for inner in each:
                    item = _step(item, inner, scope)  # noqa: PLW2901 - a walk from the element to a part of it
                found.append(item)
            return tuple(found)


# -- calls


def _call(call: Call, scope: Scope) -> Value:
    if call.name in ("try", "can"):
        return _try(call, scope)
    if call.name == "convert":
        return _convert(call, scope)
    arguments = [evaluate(argument, scope) for argument in call.arguments]
    if call.spread:
        last = arguments.pop()
        if not isinstance(last, tuple):
            raise invalid(f"... spreads a list, and this is {kind(last)}", call.arguments[-1].place)
        arguments.extend(last)
    return scope.outer.call(call.name, arguments, call)


def _try(call: Call, scope: Scope) -> Value:
    if not call.arguments or (call.name == "can" and len(call.arguments) != 1):
        raise invalid(
            f"{call.name} needs {'one argument' if call.name == 'can' else 'an argument'}", call.place
        )
    failure: InvalidError | None = None
    for argument in call.arguments:
        try:
            value = evaluate(argument, scope)
        except InvalidError as error:
            if error.code == "bake-too-much":
                raise
            failure = error
        else:
            return value if call.name == "try" else True
    if call.name == "can":
        return False
    raise invalid(f"nothing that try was given works; the last says: {failure}", call.place) from failure


def _convert(call: Call, scope: Scope) -> Value:
    if len(call.arguments) != 2 or call.spread:
        raise invalid("convert needs a value and a type, as in convert(x, list(string))", call.place)
    value = evaluate(call.arguments[0], scope)
    wanted = parse_type(call.arguments[1])
    try:
        return convert(value, wanted)
    except BadValueError as error:
        raise invalid(error.message, call.arguments[0].place) from error


# -- loops


def _loop(key_name: str | None, value_name: str, collection: Expression, scope: Scope) -> Iterator[Scope]:
    found = evaluate(collection, scope)
    try:
        pairs = entries(found)
    except BadValueError as error:
        raise invalid(error.message, collection.place) from error
    for key, value in pairs:
        yield scope.within({key_name: key, value_name: value} if key_name else {value_name: value})


def _for(loop: For, scope: Scope) -> Value:
    listed: list[Value] = []
    mapped: dict[str, Value] = {}
    for inner in _loop(loop.key_name, loop.value_name, loop.collection, scope):
        if loop.condition is not None and not _bool(loop.condition, inner):
            continue
        value = evaluate(loop.value, inner)
        if loop.key is None:
            listed.append(value)
            continue
        key = _key(loop.key, inner)
        if loop.group:
            before = mapped.get(key, ())
            mapped[key] = (*(before if isinstance(before, tuple) else ()), value)
        elif key in mapped:
            raise invalid(
                f"two elements have the key {key!r}",
                loop.key.place,
                hint="with ... behind the value, the values of one key become a list",
            )
        else:
            mapped[key] = value
    return tuple(listed) if loop.key is None else mapped


# -- templates


def _template_value(template: Template, scope: Scope) -> Value:
    if len(template.parts) == 1 and not isinstance(template.parts[0], TemplateIf | TemplateFor):
        return evaluate(template.parts[0], scope)
    return _template_text(template, scope)


def _template_text(template: Template, scope: Scope) -> str:
    found: list[str] = []
    for part in template.parts:
        match part:
            case TemplateIf(condition, yes, no, _):
                found.append(_template_text(yes if _bool(condition, scope) else no, scope))
            case TemplateFor(key_name, value_name, collection, body, _):
                loop = _loop(key_name, value_name, collection, scope)
                found.append(_bounded((_template_text(body, inner) for inner in loop), template.place))
            case _:
                value = evaluate(part, scope)
                try:
                    found.append(to_text(value))
                except BadValueError as error:
                    raise invalid(f"in a string, {error.message}", part.place) from error
    return _bounded(found, template.place)


def _bounded(texts: Iterator[str] | list[str], place: Place) -> str:
    length, found = 0, list[str]()
    for text in texts:
        length += len(text)
        if length > LONGEST_TEXT:
            raise too_much(f"the text is longer than {LONGEST_TEXT >> 20} MiB", place)
        found.append(text)
    return "".join(found)


def too_much(message: str, place: Place | None) -> InvalidError:
    """Return the error for an expression that would take all of the machine; `try` does not hide it."""
    return invalid(message, place, code="bake-too-much")
