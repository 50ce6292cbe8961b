import io
import stat
import zipfile

import pytest

from tiffin.base.lock import LockedPackage
from tiffin.base.python import install_python, python_version
from tiffin.base.tree import Tree
from tiffin.errors import CorruptError


def wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("pip/__init__.py", "pip")
        archive.writestr("pip/_internal/cli/main.py", "main")
        archive.writestr("pip-23.0.1.dist-info/METADATA", "Name: pip")
        archive.writestr("../evil", "x")
    return out.getvalue()


@pytest.fixture
def tree(new_layer):
    tree = Tree(new_layer())
    tree.write("usr/bin/python3.11", b"ELF", 0o755)
    tree.link("usr/bin/python3", "python3.11")
    tree.write("usr/lib/python3.11/EXTERNALLY-MANAGED", b"")
    tree.write("usr/share/python-wheels/pip-23.0.1-py3-none-any.whl", wheel())
    tree.write("usr/share/python-wheels/setuptools-66-py3-none-any.whl", b"")
    return tree


def test_pip_and_python_are_there_and_allowed(tree):
    install_python(tree)
    assert tree.link_target("usr/bin/python") == "python3"
    assert "usr/lib/python3.11/EXTERNALLY-MANAGED" not in tree
    assert tree.is_directory("usr/local/lib/python3.11/dist-packages")
    assert tree.read("usr/lib/python3/dist-packages/pip/_internal/cli/main.py") == b"main"
    assert tree.read("usr/lib/python3/dist-packages/pip-23.0.1.dist-info/INSTALLER") == b"debian\n"
    for name in ("pip", "pip3", "pip3.11"):
        assert tree.read(f"usr/bin/{name}").startswith(b"#!/usr/bin/python3\n")
        assert stat.S_IMODE(tree.host(f"usr/bin/{name}").stat().st_mode) == 0o755
    assert not any("evil" in path for path in tree.paths())


def test_what_a_package_brought_stays(tree):
    tree.link("usr/bin/python", "python3.11")
    tree.write("usr/lib/python3/dist-packages/pip/__init__.py", b"own")
    install_python(tree)
    assert tree.link_target("usr/bin/python") == "python3.11"
    assert tree.read("usr/lib/python3/dist-packages/pip/__init__.py") == b"own"


def test_no_interpreter(new_layer):
    tree = Tree(new_layer())
    tree.make_directory("usr/lib")
    with pytest.raises(CorruptError, match="no interpreter"):
        install_python(tree)


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("python3.11-minimal", "3.11.2-6+deb12u8", "3.11.2"),
        ("python3.13-minimal", "1:3.13.0~rc1-2", "3.13.0"),
        ("python3-minimal", "3.11.2-1", ""),
    ],
)
def test_the_version_of_python(name, version, expected):
    package = LockedPackage(name, version, "amd64", "a" * 64, 1, "p.deb", "http://a.example.org")
    assert python_version([package]) == expected
