"""What the nodes of a template mean: nodes + data → text (pure).

Values are printed as Go prints them, since scripts compare them: lists in
brackets, maps as `map[k:v]` in order of their keys, booleans in small letters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError
from tiffin.ui.template import Branch, Call, Field, Jump, Literal, Node, Operand, Output, Pipeline, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Maps whose keys are the user's own: a key that is not there has no value, and is no error.
FREE_MAPS = frozenset(
    {
        "Annotations",
        "Attributes",
        "ExposedPorts",
        "Labels",
        "Networks",
        "Options",
        "Ports",
        "Sysctls",
        "Volumes",
    }
)
# Fields that Docker's documents have only where there is something to say; it knows of them all the same.
OPTIONAL = frozenset(
    {"Health", "Healthcheck", "Init", "StopTimeout", "ExposedPorts", "Shell", "StopSignal", "DNSNames"}
)
NO_VALUE = "<no value>"
NIL = "<nil>"
# How Go prints what is null, by the type that Docker gives the field.
_NULLS = {
    **dict.fromkeys(
        ("Volumes", "Labels", "ExposedPorts", "Options", "DriverOpts", "Sysctls", "Config"), "map[]"
    ),
    **dict.fromkeys(("PidsLimit", "StopTimeout", "MemorySwappiness", "IPAMConfig", "OomKillDisable"), NIL),
    **dict.fromkeys(("CapAdd", "CapDrop", "Binds", "SecurityOpt", "GroupAdd", "Links", "VolumesFrom"), "[]"),
    **dict.fromkeys(("ExtraHosts", "DeviceRequests", "DeviceCgroupRules", "OnBuild", "Entrypoint"), "[]"),
    **dict.fromkeys(
        ("Cmd", "ExecIDs", "Aliases", "DNSNames", "Dns", "DnsOptions", "DnsSearch", "Ulimits", "Shell"), "[]"
    ),
    "StopSignal": "",
}


class _Missing:
    """The value of a key that is not in a map of the user's own."""


class _Nil:
    """The value of a field that is left out where it has none."""


class _JumpError(Exception):
    """A `break` or `continue` on its way to its `range`, with what was printed before it."""

    def __init__(self, keyword: str) -> None:
        super().__init__()
        self.keyword = keyword
        self.text = ""


MISSING = _Missing()
_NIL = _Nil()


def render(
    nodes: Sequence[Node], data: object, functions: Mapping[str, Callable[..., object]] | None = None
) -> str:
    """The text that the template makes of `data`."""
    return _Evaluation(FUNCTIONS if functions is None else functions).render(nodes, data, {"$": data})


def to_json(value: object) -> str:
    """JSON as Docker prints it: no blanks, the characters of HTML escaped."""
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def to_text(value: object) -> str:
    """A value as Go prints it."""
    match value:
        case _Missing():
            return NO_VALUE
        case None | _Nil():
            return NIL
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        case dict():
            return "map[" + " ".join(f"{k}:{to_text(value[k])}" for k in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(to_text(item) for item in value) + "]"
        case _:
            return str(value)


def truth(value: object) -> bool:
    """Whether a value counts as true: it is neither empty nor zero."""
    return not isinstance(value, _Missing | _Nil) and bool(value)


def _plain(value: object) -> object:
    """`value` without what JSON cannot hold: a row's methods."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not callable(item)}
    return None if isinstance(value, _Missing | _Nil) else value


class _Evaluation:
    """One run over the nodes, with the functions that they may call."""

    def __init__(self, functions: Mapping[str, Callable[..., object]]) -> None:
        self._functions = functions

    def render(self, nodes: Sequence[Node], dot: object, variables: dict[str, object]) -> str:
        parts: list[str] = []
        try:
            for node in nodes:
                match node:
                    case Text():
                        parts.append(node.text)
                    case Output():
                        value = self._pipeline(node.pipeline, dot, variables)
                        if not node.pipeline.variables:
                            nothing = value is None or isinstance(value, _Nil)
                            parts.append(_null(node.pipeline, value) if nothing else to_text(value))
                    case Branch():
                        parts.append(self._branch(node, dot, dict(variables)))
                    case Jump():
                        raise _JumpError(node.keyword)  # noqa: TRY301 - caught below, to keep what is there
        except _JumpError as jump:
            jump.text = "".join(parts) + jump.text
            raise
        return "".join(parts)

    def _branch(self, node: Branch, dot: object, variables: dict[str, object]) -> str:
        if node.keyword == "range":
            return self._range(node, dot, variables)
        value = self._pipeline(node.pipeline, dot, variables)
        if not truth(value):
            return self.render(node.otherwise, dot, variables)
        return self.render(node.body, value if node.keyword == "with" else dot, variables)

    def _range(self, node: Branch, dot: object, variables: dict[str, object]) -> str:
        value = self._pipeline(Pipeline(node.pipeline.commands), dot, variables)
        match value:
            case dict():
                items: list[tuple[object, object]] = [(key, value[key]) for key in sorted(value)]
            case list() | tuple():
                items = list(enumerate(value))
            case None | _Missing() | _Nil():
                items = []
            case _:
                raise _error(f"range cannot go over {to_text(value)!r}, which is neither a list nor a map")
        if not items:
            return self.render(node.otherwise, dot, variables)
        parts = []
        for key, item in items:
            names = node.pipeline.variables
            bound = dict(zip(names, (key, item) if len(names) == 2 else (item,), strict=False))
            try:
                parts.append(self.render(node.body, item, {**variables, **bound}))
            except _JumpError as jump:
                parts.append(jump.text)
                if jump.keyword == "break":
                    break
        return "".join(parts)

    def _pipeline(self, pipeline: Pipeline, dot: object, variables: dict[str, object]) -> object:
        result: tuple[object, ...] = ()
        for command in pipeline.commands:
            result = (self._operand(command, dot, variables, result),)
        for name in pipeline.variables:
            variables[name] = result[0]
        return result[0]

    def _operand(
        self, operand: Operand, dot: object, variables: dict[str, object], piped: tuple[object, ...] = ()
    ) -> object:
        match operand:
            case Literal():
                return operand.value
            case Pipeline():
                return self._pipeline(operand, dot, variables)
            case Field():
                return self._field(operand, dot, variables, piped)
            case Call(target=Field()):
                assert isinstance(operand.target, Field)
                arguments = [self._operand(one, dot, variables) for one in operand.arguments]
                return self._field(operand.target, dot, variables, (*arguments, *piped))
            case Call():
                arguments = [self._operand(one, dot, variables) for one in operand.arguments]
                return self._call(str(operand.target), (*arguments, *piped))

    def _call(self, name: str, arguments: tuple[object, ...]) -> object:
        function = self._functions.get(name)
        if function is None:
            from difflib import get_close_matches

            near = get_close_matches(name, self._functions, 2)
            hint = (
                f"did you mean {' or '.join(near)}?"
                if near
                else "there are: " + ", ".join(sorted(self._functions))
            )
            raise InvalidError(
                f"the template calls {name!r}, which is no function", code="bad-template", hint=hint
            )
        try:
            return function(*arguments)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise _error(f"{name} failed: {error}") from error

    def _field(
        self, field: Field, dot: object, variables: dict[str, object], arguments: tuple[object, ...]
    ) -> object:
        value = dot
        if field.inner is not None:
            value = self._pipeline(field.inner, dot, variables)
        elif field.variable:
            if field.variable not in variables:
                raise _error(f"{field.variable} is not defined")
            value = variables[field.variable]
        parent = ""
        for name in field.names:
            value = _look_up(value, name, parent)
            parent = name
        if callable(value):
            return value(*arguments)
        if arguments:
            raise _error(f".{'.'.join(field.names)} takes no arguments")
        return value


def _look_up(value: object, name: str, parent: str) -> object:
    if isinstance(value, _Missing) or value is None:
        return MISSING
    if isinstance(value, _Nil):
        raise InvalidError(
            f"the template asks for .{parent}.{name}, and there is no .{parent}",
            code="bad-template",
            hint=f"ask before: {{{{if .{parent}}}}}…{{{{end}}}}",
        )
    if not isinstance(value, dict):
        raise _error(f".{name} asks for a field of {to_text(value)!r}, which has none")
    if name in value:
        found: object = value[name]
        return found
    if parent in FREE_MAPS:
        return MISSING
    if name in OPTIONAL:
        return _NIL
    from difflib import get_close_matches

    near = get_close_matches(name, value, 3, 0.5)
    hint = f"did you mean .{' or .'.join(near)}?" if near else f"there are: {', '.join(sorted(value))}"
    raise InvalidError(
        f"the template asks for .{name}, and there is no such field", code="bad-template", hint=hint
    )


def _null(pipeline: Pipeline, value: object) -> str:
    """How nothing is printed, by the field that it was looked up in."""
    (*_, last) = pipeline.commands
    name = last.names[-1] if isinstance(last, Field) and last.names else ""
    return _NULLS.get(name, NO_VALUE if value is None else NIL)


def _error(message: str) -> InvalidError:
    return InvalidError(f"the template cannot be used: {message}", code="bad-template")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")
        elif isinstance(value, list | tuple | str) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise _error(f"index {key} is out of range: there are {len(value)}")
            value = value[key]
        else:
            raise _error(f"index cannot look up {to_text(key)!r} in {to_text(value)!r}")
    return value


def _printf(form: str, *values: object) -> str:
    import re

    fields = iter(values)

    def fill(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        value = next(fields, MISSING)
        match match[2]:
            case "d":
                return f"%{match[1]}d" % value
            case "f" | "g" | "e" | "x" | "X":
                return f"%{match[1]}{match[2]}" % value
            case "q":
                return json.dumps(to_text(value), ensure_ascii=False)
            case _:
                return f"%{match[1]}s" % to_text(value)

    return re.sub(r"%([-+ #0]*\d*(?:\.\d+)?)([a-zA-Z])|%%", fill, form)


def _title(text: str) -> str:
    return "".join(
        c.upper() if i == 0 or not (text[i - 1].isalnum() or text[i - 1] in "_'") else c
        for i, c in enumerate(text)
    )


def _and(*values: object) -> object:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: object) -> object:
    return next((value for value in values if truth(value)), values[-1])


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "json": to_json,
    "split": lambda text, by: to_text(text).split(by),
    "join": lambda items, by: by.join(to_text(item) for item in items or ()),
    "title": lambda text: _title(to_text(text)),
    "lower": lambda text: to_text(text).lower(),
    "upper": lambda text: to_text(text).upper(),
    "pad": lambda text, before, after: " " * before + to_text(text) + " " * after if text else "",
    "truncate": lambda text, width: to_text(text)[:width],
    "index": _index,
    "slice": lambda value, *bounds: (
        value[slice(*(bounds or (0, None)))] if len(bounds) != 1 else value[bounds[0] :]
    ),
    "len": lambda value: len(value or ()),
    "not": lambda value: not truth(value),
    "and": _and,
    "or": _or,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "print": lambda *values: "".join(to_text(value) for value in values),
    "println": lambda *values: " ".join(to_text(value) for value in values) + "\n",
    "printf": _printf,
}

# For the heading of a table: each field is its own heading, and what would change a value leaves it.
HEADINGS: Mapping[str, Callable[..., object]] = {
    **FUNCTIONS,
    **dict.fromkeys(
        ("json", "split", "join", "title", "lower", "upper", "pad", "truncate"), lambda text, *_options: text
    ),
}
