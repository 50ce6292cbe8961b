"""A file that is written as a whole: it takes its place when all went well."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tiffin.linux.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replaced_file(dest: str) -> Iterator[BinaryIO]:
    """Give a file that takes the place of `dest`, on the disk, when all went well; `-` is standard output.

    What is no plain file, a device or a pipe, is written into as it is.
    """
    path = Path(dest)
    if dest == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
    else:
        beside = path.with_name(f".{path.name[:200]}.{os.urandom(6).hex()}")
        try:
            with beside.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            beside.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            error.filename = error.filename or dest  # writes do not say where they fail
            raise
        finally:
            beside.unlink(missing_ok=True)
