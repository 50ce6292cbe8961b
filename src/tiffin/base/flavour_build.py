"""The flavour `build`: a whole small system with apt and a configured dpkg, for `RUN apt-get install`.

What dpkg itself needs is unpacked first, by us. Then dpkg, running in a container
on that very directory, installs all packages as on any machine, and the traces of
that run (logs, caches, dates) are removed, so that the result is always the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.base.accounts import group_id
from tiffin.base.extract import DROPPED, KEPT, extract, merge_usr, newest_time
from tiffin.base.python import allow_pip, python_names
from tiffin.base.resolve import Wanted
from tiffin.base.tree import ROOT, Owner, Tree
from tiffin.errors import FailedError
from tiffin.events import StepProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.base.index import PackageIndex
    from tiffin.base.lock import LockedPackage, LockedSource
    from tiffin.base.making import Making

_NAMES: Final = ("apt", "ca-certificates", "mount", "passwd")
_OPTIONAL: Final = ("usr-is-merged",)
_PLACE: Final = "var/cache/tiffin-packages"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DAY: Final = 24 * 3600
_MARKER: Final = "/usr/lib/python3*/EXTERNALLY-MANAGED"
_APT: Final = """\
// apt's sandbox user may not exist in the user namespace of a container.
APT::Sandbox::User "root";
// What is downloaded and derived would only make layers large.
APT::Keep-Downloaded-Packages "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
_NO_SERVICES: Final = b"#!/bin/sh\n# No service is started in an image.\nexit 101\n"
# What a run of dpkg leaves behind that says when and where it ran, and nothing else.
_TRACES: Final = (
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "root/.cache",
    "usr/share/info/dir.old",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/systemd/catalog/database",
    "var/lib/systemd/deb-systemd-helper-enabled",
    _PLACE,
)
_EMPTIED: Final = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "var/cache/apt", "var/lib/apt/lists")
_BY_THE_RUNTIME: Final = ("etc/hosts", "etc/hostname", "etc/resolv.conf")


def wanted(index: PackageIndex, architecture: str, *, python: bool, include: tuple[str, ...]) -> Wanted:
    """The packages of a build base by name."""
    names = (*index.essential(), *_NAMES, *(name for name in _OPTIONAL if index.newest(name) is not None))
    names += python_names(index, pip="python3-pip") if python else ()
    return Wanted((*names, *include), architecture)


def make(making: Making) -> int:
    """Make the tree of a build base in the layer's directory; returns the time that its files have got."""
    tree = Tree(making.layer)
    merge_usr(tree)
    newest = 0
    for number, package in enumerate(making.packages, 1):
        deb = making.blobs.path(package.content.digest)
        if package.required:
            newest = max(newest, extract(tree, deb, package.package).newest)
        elif making.epoch is None:
            newest = max(newest, newest_time(deb, package.package))
        with deb.open("rb") as stream:
            tree.write(f"{_PLACE}/{_file_name(package)}", stream)
        making.emit(StepProgress(making.step, number, len(making.packages), "packages"))
    epoch = making.epoch_or(newest)
    _prepare(tree, making)
    _install(making, epoch)
    tree.reload()
    _clean(tree, epoch)
    _write_apt(tree, making)
    if making.python:
        allow_pip(tree)
    tree.finish(epoch)
    return epoch


def _prepare(tree: Tree, making: Making) -> None:
    """What dpkg and the scripts expect before the first package is installed."""
    for path, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("run", 0o755), ("proc", 0o755), ("sys", 0o755)):
        tree.set_directory(path, mode)
    for path in (
        "dev",
        "etc",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/dpkg/triggers",
        "var/log",
    ):
        tree.make_directory(path)
    tree.write("var/lib/dpkg/status", b"")
    tree.write("usr/sbin/policy-rc.d", _NO_SERVICES, 0o755)
    rules = [f"path-exclude={pattern}" for pattern in DROPPED]
    rules += [f"path-include={pattern}" for pattern in KEPT]
    if making.python:
        rules.append(f"path-exclude={_MARKER}")
    tree.write("etc/dpkg/dpkg.cfg.d/tiffin", ("\n".join(["force-unsafe-io", *rules]) + "\n").encode())


def _install(making: Making, epoch: int) -> None:
    env = {
        "PATH": _PATH,
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN": "true",
        "DEBCONF_NOWARNINGS": "yes",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "SYSTEMD_OFFLINE": "1",
    }
    required = [package for package in making.packages if package.required]
    others = [package for package in making.packages if not package.required]
    # Pre-Depends within one call are not waited for: what is there has been unpacked, and is enough.
    install = ["dpkg", "--force-depends", "--force-confold", "--install"]
    steps = [[*install, *map(_inside, group)] for group in (required, others) if group]
    for argv in [*steps, ["dpkg", "--configure", "-a"], ["dpkg", "--audit"]]:
        status = making.run_in(making.layer.path, argv, env)
        if status != 0:
            raise FailedError(
                f"{' '.join(argv[:2])} ended with status {status} while the base was installed",
                code="base-dpkg",
                hint="its output says which package could not be configured",
            )


def _clean(tree: Tree, epoch: int) -> None:
    for path in _TRACES:
        tree.remove(path)
    for directory in _EMPTIED:
        for name in tree.children(directory) if tree.is_directory(directory) else ():
            tree.remove(f"{directory}/{name}")
    tree.set_directory("run/lock", 0o1777)
    tree.make_directory("var/lib/apt/lists/partial")
    tree.make_directory("var/cache/apt/archives/partial")
    for path in _BY_THE_RUNTIME:
        tree.remove(path)
    for path in tree.paths():
        if path.endswith("/__pycache__") or (path.startswith("var/log/") and tree.is_file(path)):
            tree.remove(path)
    if "etc/machine-id" in tree:
        tree.write("etc/machine-id", b"")
    group = group_id(tree, "utmp")
    for name, mode in (("wtmp", 0o664), ("btmp", 0o660), ("lastlog", 0o664)):
        tree.write(f"var/log/{name}", b"", mode, Owner(0, group) if group else ROOT)
    _date_shadow(tree, epoch)


def _date_shadow(tree: Tree, epoch: int) -> None:
    """Passwords were last changed at the epoch, not on the day of the run."""
    if not tree.is_file("etc/shadow"):
        return
    lines = [line.split(":") for line in tree.read("etc/shadow").decode().splitlines()]
    for fields in lines:
        if len(fields) > 2 and fields[2]:
            fields[2] = str(epoch // _DAY)
    text = "".join(":".join(fields) + "\n" for fields in lines)
    tree.write("etc/shadow", text.encode(), 0o640, Owner(0, group_id(tree, "shadow")))


def _write_apt(tree: Tree, making: Making) -> None:
    """Point the image's apt to where this base came from."""
    tree.write("etc/apt/apt.conf.d/90tiffin", _APT.encode())
    ring = f"usr/share/keyrings/{making.distribution}-archive-keyring.gpg"
    signed_by = f"/{ring}" if ring in tree else ""
    paragraphs = [_paragraph(sources, signed_by) for sources in _by_archive(making.sources)]
    tree.write("etc/apt/sources.list.d/base.sources", "\n".join(paragraphs).encode())


def _by_archive(sources: Sequence[LockedSource]) -> list[list[LockedSource]]:
    grouped: dict[tuple[str, tuple[str, ...], bool], list[LockedSource]] = {}
    for source in sources:
        grouped.setdefault((source.uri, source.components, source.check_valid_until), []).append(source)
    return list(grouped.values())


def _paragraph(sources: Sequence[LockedSource], signed_by: str) -> str:
    first = sources[0]
    lines = [
        "Types: deb",
        f"URIs: {first.uri}",
        f"Suites: {' '.join(source.suite for source in sources)}",
        f"Components: {' '.join(first.components)}",
    ]
    if signed_by:
        lines.append(f"Signed-By: {signed_by}")
    if not first.check_valid_until:
        lines.append("Check-Valid-Until: no")
    return "\n".join(lines) + "\n"


def _file_name(package: LockedPackage) -> str:
    version = package.version.replace(":", "%3a")
    return f"{package.package}_{version}_{package.architecture}.deb"


def _inside(package: LockedPackage) -> str:
    return f"/{_PLACE}/{_file_name(package)}"
