"""`NamedTuple`, without the cost of importing `typing`.

To the type checker it is `typing.NamedTuple`. At run time it is forty lines that make the same kind of
class: a tuple with named, documented fields, defaults, `_fields`, `_asdict` and `_replace`. The processes
that start containers begin with nothing loaded; `typing` would double the time they take to begin.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - the alias marks a deliberate re-export
else:
    # ruff: noqa: ANN001, ANN002, ANN003, ANN202, ANN204 # the checker never sees this half
    from _collections import _tuplegetter

    def _new(cls, *values, **named):
        fields = cls._fields
        if named or len(values) != len(fields):
            if len(values) > len(fields) or not named.keys() <= set(fields[len(values) :]):
                raise TypeError(f"{cls.__name__} takes the fields {', '.join(fields)}, each once")
            given = {**cls._field_defaults, **dict(zip(fields, values, strict=False)), **named}
            if missing := [field for field in fields if field not in given]:
                raise TypeError(f"{cls.__name__} needs {', '.join(missing)}")
            values = [given[field] for field in fields]
        return tuple.__new__(cls, values)

    def _replace(self, /, **changes):
        return type(self)(**{**self._asdict(), **changes})

    def _asdict(self):
        return dict(zip(self._fields, self, strict=True))

    def _repr(self) -> str:
        fields = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({fields})"

    def _getnewargs(self):
        return tuple(self)

    class _Meta(type):
        def __new__(mcs, name, bases, namespace):
            if not bases:
                return type.__new__(mcs, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = {field: namespace[field] for field in fields if field in namespace}
            namespace |= {field: _tuplegetter(index, field) for index, field in enumerate(fields)}
            namespace |= {
                "__slots__": (),
                "__new__": _new,
                "__repr__": _repr,
                "__getnewargs__": _getnewargs,
                "_replace": _replace,
                "_asdict": _asdict,
                "_fields": fields,
                "_field_defaults": defaults,
            }
            return type(name, (tuple,), namespace)

    class NamedTuple(metaclass=_Meta):
        """Base of a class whose annotations are the fields of a tuple."""
