"""The pytest fixture `tiffin_container`, found by the entry point `pytest11`.

pytest loads this at every start, also where nobody uses it: nothing of tiffin is imported before a test asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.python.container import Container


@pytest.fixture
def tiffin_container() -> Iterator[Callable[..., Container]]:
    """Start containers as `tiffin.run` does, with its arguments; all are removed after the test."""
    from contextlib import ExitStack

    import tiffin

    with ExitStack() as end:

        def start(image: str, *arguments: object, **options: object) -> Container:
            return end.enter_context(tiffin.run(image, *arguments, **options))  # type: ignore[arg-type]

        yield start
