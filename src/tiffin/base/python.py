"""Python in a base, so that what is written for the usual Python images works: `python` and `pip`, as root.

The distribution keeps pip away from its own packages by a marker file and by a
package with many dependencies. In an image nobody else manages Python, so the
marker goes, and the pip that the distribution ships for virtual environments
(a wheel, without dependencies) is installed as its own package would install it.
What pip installs goes to /usr/local, as the distribution's Python has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tiffin.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.base.index import PackageIndex
    from tiffin.base.lock import LockedPackage
    from tiffin.base.tree import Tree

_WHEELS: Final = "usr/share/python-wheels"
_PACKAGES: Final = "usr/lib/python3/dist-packages"
_INTERPRETER: Final = re.compile(r"python(3\.\d+)-minimal")
_START: Final = """#!/usr/bin/python3
import sys

from pip._internal.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


def python_names(index: PackageIndex, *, pip: str) -> tuple[str, ...]:
    """The packages of a base with Python; nearly every wheel with native code needs the two libraries."""
    names = ("python3", "python3-venv", pip, "libstdc++6", "libgomp1", "tzdata", "netbase", "ca-certificates")
    # Part of the standard library elsewhere, but packages of their own in some releases.
    extra = ("python-is-python3", "python3-distutils")
    return (*names, *(name for name in extra if index.newest(name) is not None))


def python_version(packages: Sequence[LockedPackage]) -> str:
    """The version of Python itself, such as 3.11.2; empty where there is none."""
    for package in packages:
        if _INTERPRETER.fullmatch(package.package):
            return re.split(r"[-+~]", package.version.rpartition(":")[2])[0]
    return ""


def install_python(tree: Tree) -> None:
    """Make Python in the tree usable as in the usual images."""
    series = next(
        (m[1] for name in tree.children("usr/lib") if (m := re.fullmatch(r"python(3\.\d+)", name))), ""
    )
    if not series or "usr/bin/python3" not in tree:
        raise CorruptError("the packages of Python hold no interpreter", code="base-python")
    if "usr/bin/python" not in tree:
        tree.link("usr/bin/python", "python3")
    tree.make_directory(f"usr/local/lib/python{series}/dist-packages")
    allow_pip(tree)
    if f"{_PACKAGES}/pip" not in tree:
        _install_pip(tree, series)


def allow_pip(tree: Tree) -> None:
    """Remove the marker that forbids pip to install for the whole system."""
    for name in tree.children("usr/lib"):
        if re.fullmatch(r"python3\.\d+", name):
            tree.remove(f"usr/lib/{name}/EXTERNALLY-MANAGED")


def _install_pip(tree: Tree, series: str) -> None:
    import zipfile

    wheels = [name for name in tree.children(_WHEELS) if re.fullmatch(r"pip-[^-]+-py.+\.whl", name)]
    if not wheels:
        raise CorruptError("the package python3-pip-whl holds no wheel of pip", code="base-python")
    with zipfile.ZipFile(tree.host(f"{_WHEELS}/{wheels[-1]}")) as wheel:
        for info in wheel.infolist():
            if info.is_dir() or ".." in info.filename.split("/") or info.filename.startswith("/"):
                continue
            tree.write(f"{_PACKAGES}/{info.filename}", wheel.read(info))
            if info.filename.endswith(".dist-info/METADATA"):
                tree.write(f"{_PACKAGES}/{info.filename.rpartition('/')[0]}/INSTALLER", b"debian\n")
    for name in ("pip", "pip3", f"pip{series}"):
        tree.write(f"usr/bin/{name}", _START.encode(), 0o755)
