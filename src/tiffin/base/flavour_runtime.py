"""The flavour `runtime`: packages unpacked, nothing run. It needs no root and no container, and has no apt.

What the packages' scripts would have done for these packages is done here, from
the same master files that they use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.base.accounts import group_id, install_accounts
from tiffin.base.certificates import install_certificates
from tiffin.base.deb import read_control
from tiffin.base.extract import extract, is_kept, merge_usr
from tiffin.base.ldcache import install_cache
from tiffin.base.python import install_python, python_names
from tiffin.base.resolve import Wanted
from tiffin.base.scripts import alternatives, unmet_work
from tiffin.base.tree import ROOT, Owner, Tree
from tiffin.events import Notice, StepProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.base.index import PackageIndex
    from tiffin.base.lock import LockedPackage
    from tiffin.base.making import Making
    from tiffin.base.scripts import Alternative

# A shell and the tools that Dockerfiles use; `passwd` for the useradd of those that do not run as root.
_NAMES: Final = (
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "findutils",
    "grep",
    "gzip",
    "hostname",
    "libc-bin",
    "ncurses-base",
    "passwd",
    "sed",
    "tar",
)
# Only maintainer scripts and boot scripts use these; whoever wants them names them.
_WITHOUT: Final = frozenset(
    {
        "adduser",
        "cdebconf",
        "debconf",
        "debconf-2.0",
        "dpkg",
        "init-system-helpers",
        "install-info",
        "lsb-base",
        "perl-base",
        "sysvinit-utils",
        "ucf",
        "usr-is-merged",
        "usrmerge",
    }
)
# The last is for NIS, which has left Python, and brings Kerberos with it.
_WITHOUT_FROM: Final = frozenset(
    {
        ("ca-certificates", "openssl"),
        ("login", "libpam-modules"),
        ("login", "libpam-runtime"),
        ("libpython3.10-stdlib", "libnsl2"),
        ("libpython3.10-stdlib", "libtirpc3"),
        ("libpython3.11-stdlib", "libnsl2"),
        ("libpython3.11-stdlib", "libtirpc3"),
        ("libpython3.12-stdlib", "libnsl2"),
        ("libpython3.12-stdlib", "libtirpc3"),
        ("passwd", "libpam-modules"),
    }
)
_DIRECTORIES: Final = {
    "dev": 0o755,
    "etc/opt": 0o755,
    "home": 0o755,
    "media": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "run/lock": 0o1777,
    "srv": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "var/cache": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/opt": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
    **{
        f"usr/local/{name}": 0o755
        for name in ("bin", "etc", "games", "include", "lib", "sbin", "share", "src")
    },
}
# What base-files and libc-bin copy into place when they are configured.
_MASTERS: Final = {
    "usr/share/base-files/dot.profile": "root/.profile",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/base-files/motd": "etc/motd",
    "usr/share/base-files/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/libc-bin/nsswitch.conf": "etc/nsswitch.conf",
}
_STATUS: Final = "var/lib/dpkg/status.d"


def wanted(index: PackageIndex, architecture: str, *, python: bool, include: tuple[str, ...]) -> Wanted:
    """The packages of a runtime base by name."""
    names = _NAMES + (python_names(index, pip="python3-pip-whl") if python else ())
    if index.newest("login.defs") is None:  # before it was a package, login had what useradd goes by
        names += ("login",)
    return Wanted((*names, *include), architecture, _WITHOUT, _WITHOUT_FROM)


def make(making: Making) -> int:
    """Make the tree of a runtime base in the layer's directory; returns the time that its files have got."""
    tree = Tree(making.layer)
    merge_usr(tree)
    newest = 0
    found: list[Alternative] = []
    controls: dict[str, dict[str, bytes]] = {}
    for number, package in enumerate(making.packages, 1):
        deb = making.blobs.path(package.content.digest)
        extracted = extract(tree, deb, package.package)
        newest = max(newest, extracted.newest)
        control = controls[package.package] = read_control(deb, package.package)
        script = control.get("postinst", b"").decode("utf-8", "replace")
        found += alternatives(script)
        _tell(making, package, script)
        making.emit(StepProgress(making.step, number, len(making.packages), "packages"))
    _trim(tree)
    epoch = making.epoch_or(newest)
    _configure(tree, epoch)
    _choose_alternatives(tree, found)
    if making.python:
        install_python(tree)
    install_cache(tree, making.architecture)
    for name, control in controls.items():
        _record(tree, name, control)
    tree.finish(epoch)
    return epoch


def _configure(tree: Tree, epoch: int) -> None:
    """The system's own files and directories."""
    for path, mode in _DIRECTORIES.items():
        tree.set_directory(path, mode)
    install_accounts(tree, epoch)
    mail = group_id(tree, "mail")
    tree.set_directory("var/mail", 0o2775, Owner(0, mail))
    for link, target in (("var/run", "/run"), ("var/lock", "/run/lock"), ("var/spool/mail", "../mail")):
        tree.link(link, target)
    for source, path in _MASTERS.items():
        if source in tree and path not in tree:
            tree.write(path, tree.read(source))
    vendor = [name for name in tree.children("etc/dpkg/origins") if name != "default"]
    if vendor:
        tree.link("etc/dpkg/origins/default", vendor[-1] if "ubuntu" in vendor else vendor[0])
    if "usr/bin/sh" not in tree:
        tree.link("usr/bin/sh", "dash")
    if "usr/share/zoneinfo/Etc/UTC" in tree:
        tree.link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        tree.write("etc/timezone", b"Etc/UTC\n")
    _empty_logs(tree)
    install_certificates(tree)


def _empty_logs(tree: Tree) -> None:
    group = group_id(tree, "utmp")
    for name, mode in (("wtmp", 0o664), ("btmp", 0o660), ("lastlog", 0o664)):
        tree.write(f"var/log/{name}", b"", mode, Owner(0, group) if group else ROOT)


def _trim(tree: Tree) -> None:
    """Remove what a serving image has no use for and is large: rare character sets, and leap-second time."""
    tree.remove("usr/share/zoneinfo/right")
    for directory in (f"usr/lib/{name}/gconv" for name in tree.children("usr/lib")):
        # glibc divides its converters itself: the common ones are named here, all others in *-extra.conf.
        if f"{directory}/gconv-modules" not in tree or f"{directory}/gconv-modules.d" not in tree:
            continue
        common = set(tree.read(f"{directory}/gconv-modules").decode().split())
        for name in tree.children(directory):
            if name.endswith(".so") and name.removesuffix(".so") not in common:
                tree.remove(f"{directory}/{name}")
        tree.remove(f"{directory}/gconv-modules.cache")
        tree.remove(f"{directory}/gconv-modules.d/gconv-modules-extra.conf")


def _record(tree: Tree, name: str, control: dict[str, bytes]) -> None:
    """Say to scanners what is installed: a file a package, and the sums of the files that were kept."""
    tree.write(f"{_STATUS}/{name}", control["control"].rstrip(b"\n") + b"\n")
    lines = control.get("md5sums", b"").decode("utf-8", "surrogateescape").splitlines()
    kept = [line for line in lines if tree.is_file(line[34:])]
    if kept:
        text = "".join(f"{line}\n" for line in kept)
        tree.write(f"{_STATUS}/{name}.md5sums", text.encode("utf-8", "surrogateescape"))


def _choose_alternatives(tree: Tree, found: Sequence[Alternative]) -> None:
    """For each name the alternative of the highest priority, as update-alternatives in its automatic mode."""
    best: dict[str, Alternative] = {}
    for one in found:
        if one.path not in tree or not is_kept(one.link.lstrip("/")):
            continue
        if one.name not in best or best[one.name].priority < one.priority:
            best[one.name] = one
    for one in best.values():
        for link, name, path in ((one.link, one.name, one.path), *one.slaves):
            if path in tree and is_kept(link.lstrip("/")):
                tree.link(f"etc/alternatives/{name}", path)
                tree.link(link.lstrip("/"), f"/etc/alternatives/{name}")


def _tell(making: Making, package: LockedPackage, script: str) -> None:
    if package.package in making.include and (work := unmet_work(script)):
        making.emit(
            Notice(
                f"{package.package}: its script, not run in a runtime base, would {' and '.join(work)};"
                " the flavour build runs it"
            )
        )
