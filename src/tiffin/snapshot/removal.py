"""Removal of trees that a container wrote: directories without permissions, and no link followed."""

from __future__ import annotations

import os
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove the tree at `path`, if there is one.

    Without privilege, the owner of a directory may still have no right to
    enter it (the work directory of overlayfs has mode 0): it is given first.
    """
    import shutil

    def give_rights(function: object, name: str, error: BaseException) -> None:
        if not isinstance(error, PermissionError):
            raise error
        for directory in (Path(name).parent, Path(name)):
            if directory.is_dir() and not directory.is_symlink():
                directory.chmod(0o700)
        if function is os.unlink:
            Path(name).unlink()
        elif function is os.rmdir:
            Path(name).rmdir()
        else:
            shutil.rmtree(name)

    if os.path.lexists(path):
        shutil.rmtree(path, onerror=lambda function, name, info: give_rights(function, name, info[1]))
