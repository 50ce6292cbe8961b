"""Tiffin from Python: `tiffin.build`, `tiffin.run` and others of `__all__`; in `tiffin.aio` to be awaited.

Nothing is loaded before one of the names is used: every command starts by importing this module.
docs/adr/0008-python-through-a-child.md says why this one package exports names.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tiffin.errors import TiffinError
    from tiffin.python.calls import build, container, containers, image, images, pull, push, run
    from tiffin.python.container import Container, Execution
    from tiffin.python.image import Image, Layer

__all__ = [
    "Container",
    "Execution",
    "Image",
    "Layer",
    "TiffinError",
    "build",
    "container",
    "containers",
    "image",
    "images",
    "pull",
    "push",
    "run",
]

_ROOMS = ("build", "container", "image")
"""Functions whose names are also those of packages below this one."""


def __getattr__(name: str) -> object:
    """Load what `name` stands for when it is first used."""
    if name == "aio":
        __import__("tiffin.aio")
        return sys.modules["tiffin.aio"]
    if name not in __all__:
        raise AttributeError(f"module 'tiffin' has no attribute {name!r}")
    if name in _ROOMS:
        __import__(f"tiffin.{name}")
        return sys.modules[f"tiffin.{name}"]
    value = globals()[name] = _named(name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _named(name: str) -> Any:
    from tiffin import errors
    from tiffin.python import calls, container, image

    return next(vars(room)[name] for room in (calls, container, image, errors) if name in vars(room))


class _Room(type(sys)):  # type: ignore[misc]
    """A package that is a function too: `tiffin.build(…)` beside `import tiffin.build.graph`."""

    def __call__(self, *arguments: object, **options: object) -> object:
        return self.__wrapped__(*arguments, **options)

    @property
    def __wrapped__(self) -> Callable[..., object]:
        """The function; it has the signature that is shown."""
        function: Callable[..., object] = _named(self.__name__.rpartition(".")[2])
        return function


class _Tiffin(type(sys)):  # type: ignore[misc]
    """This module. Whenever a package in it is imported, that is set as an attribute here."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _ROOMS and isinstance(value, type(sys)):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Tiffin
