"""`tiffin base`: from signed packages to the layer and config of a base image.

Nothing is made before everything is verified and at hand: the index, then every
package, is checked against what the archive's key has signed, and only then is
the layer's directory asked for. A failure leaves no directory behind.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from tiffin.base import flavour_build, flavour_runtime
from tiffin.base.archive import Access, Archive, read_archive
from tiffin.base.fetch import Download, Mirror, download, without_login
from tiffin.base.lock import RECIPE, Lock, LockedPackage, LockedSource
from tiffin.base.making import STEP, Making
from tiffin.base.python import python_version
from tiffin.base.request import BaseResult
from tiffin.base.resolve import Wanted, resolve
from tiffin.base.sources import parse_mirror, sources_for
from tiffin.errors import InvalidError, UnavailableError
from tiffin.events import Notice, StepDone, StepStarted
from tiffin.oci.config import ContainerConfig, History, ImageConfig

if TYPE_CHECKING:
    from tiffin.base.request import BaseRequest, Blobs, MakeLayer, NewLayer, RunIn
    from tiffin.base.sources import Source
    from tiffin.events import Emit

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SUITE: Final = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
_LABEL: Final = "tiffin.base."
# Debian's names of architectures → those of image platforms.
_PLATFORMS: Final = {
    "armhf": ("arm", "v7"),
    "i386": ("386", ""),
    "ppc64el": ("ppc64le", ""),
    "loong64": ("loong64", ""),
}


def bootstrap(
    request: BaseRequest, *, blobs: Blobs, make_layer: MakeLayer, run_in: RunIn, emit: Emit
) -> BaseResult:
    """Make the base that the request describes; every failure is a `TiffinError` and leaves no layer behind.

    Packages and indexes go through `blobs` (hold a lease on what is put there).
    `make_layer` is called once, when all packages are there and verified;
    `run_in` is called for the flavour `build` only.
    """
    mirror = Mirror(request.machine.network, offline=request.offline)
    try:
        if request.lock is not None:
            _check_lock(request, request.lock, emit)
        lock = request.lock or _choose(request, mirror, blobs, emit)
        wanted = [_download(package, _places(request, package)) for package in lock.packages]
        download(mirror, wanted, blobs, emit, request.downloads)
    finally:
        mirror.close()
    layer, lock = _make(lock, blobs, (make_layer, run_in), emit)
    return BaseResult(layer, image_config(lock), lock, tuple(package.content for package in lock.packages))


def image_config(lock: Lock) -> ImageConfig:
    """The config for the image of that base, from the lock alone; `rootfs` is left to the layer store."""
    created = dt.datetime.fromtimestamp(lock.epoch, dt.UTC)
    env = [f"PATH={_PATH}", "LANG=C.UTF-8"]
    if version := python_version(lock.packages):
        env.append(f"PYTHON_VERSION={version}")
    labels = {
        "distribution": lock.distribution,
        "suite": lock.suite,
        "flavour": lock.flavour,
        "snapshot": created.strftime("%Y%m%dT%H%M%SZ"),
        "lock": str(lock.digest),
    }
    architecture, variant = _PLATFORMS.get(lock.architecture, (lock.architecture, ""))
    stamp = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    done = f"tiffin base {lock.suite} --flavour {lock.flavour}" + (" --python" if lock.python else "")
    done += "".join(f" --include {name}" for name in lock.include)
    return ImageConfig(
        architecture=architecture,
        os="linux",
        variant=variant,
        created=stamp,
        config=ContainerConfig(
            env=tuple(env),
            cmd=("python3",) if lock.python else ("bash",),
            labels={_LABEL + name: value for name, value in labels.items()},
        ),
        history=(History(created=stamp, created_by=done),),
    )


def _choose(request: BaseRequest, mirror: Mirror, blobs: Blobs, emit: Emit) -> Lock:
    """Read the signed indexes and decide which packages it takes."""
    if request.offline:
        raise UnavailableError(
            "a base without a lock needs the mirror's index, and the network must not be used",
            code="offline",
            hint="give the lock of an earlier run: --lock FILE --offline",
        )
    machine = request.machine
    architecture = request.architecture or machine.architecture
    sources = _sources(request)
    access = Access(machine, mirror, blobs, request.keyring, request.now)
    archive = read_archive(sources, architecture, access, emit)
    flavour = flavour_build if request.flavour == "build" else flavour_runtime
    names = flavour.wanted(archive.packages, architecture, python=request.python, include=request.include)
    packages = resolve(archive.packages, names)
    required: frozenset[str] = frozenset()
    if request.flavour == "build":
        first = resolve(archive.packages, Wanted(_essential(names, archive), architecture))
        required = frozenset(package.name for package in first)
    checked = machine.network.apt.flag("Acquire::Check-Valid-Until", default=True)
    return Lock(
        distribution=archive.suites[0][1].origin.lower() or machine.distribution,
        suite=archive.suites[0][1].codename or sources[0].suite,
        architecture=architecture,
        flavour=request.flavour,
        python=request.python,
        include=tuple(sorted(set(request.include))),
        epoch=-1 if request.epoch is None else request.epoch,
        sources=tuple(
            LockedSource.of(source, check_valid_until=source.check_valid_until and checked)
            for source, _ in archive.suites
        ),
        packages=tuple(LockedPackage.of(package, required=package.name in required) for package in packages),
    )


def _essential(names: Wanted, archive: Archive) -> tuple[str, ...]:
    """What must be unpacked before dpkg can run; the alternatives are decided as for the whole."""
    return tuple(
        name for name in names.names if name in archive.packages.essential() or name == "usr-is-merged"
    )


def _sources(request: BaseRequest) -> tuple[Source, ...]:
    machine = request.machine
    suite = request.suite or machine.codename
    if not _SUITE.fullmatch(suite):
        raise InvalidError(
            f"{suite!r} is not the name of a release",
            code="base-suite",
            hint="name one, such as the VERSION_CODENAME in /etc/os-release",
        )
    if request.mirrors:
        return tuple(parse_mirror(text, suite) for text in request.mirrors)
    return sources_for(machine.sources, machine.codename, suite)


def _check_lock(request: BaseRequest, lock: Lock, emit: Emit) -> None:
    machine = request.architecture or request.machine.architecture
    if lock.architecture != machine:
        raise InvalidError(
            f"the lock is for {lock.architecture}, and this is {machine}",
            code="base-lock",
            hint="make a lock for each architecture",
        )
    missing = sorted(set(request.include) - set(lock.include))
    if missing or request.suite not in ("", lock.suite):
        raise InvalidError(
            f"the lock is of {lock.suite} with {', '.join(lock.include) or 'nothing included'},"
            f" and asked for is {request.suite or lock.suite} with {', '.join(request.include) or 'nothing'}",
            code="base-lock",
            hint="a lock decides everything; make another for other packages",
        )
    if lock.recipe != RECIPE:
        emit(
            Notice(f"the lock is for recipe {lock.recipe} of bases, this is {RECIPE}: the digest will differ")
        )


def _download(package: LockedPackage, places: tuple[str, ...]) -> Download:
    # A plus is a blank to some stores behind mirrors, so it is spelled out, as apt does.
    uris = tuple(f"{place}/{quote(package.filename, safe='/~:')}" for place in places)
    return Download(f"{package.package} {package.version}", package.content, uris)


def _places(request: BaseRequest, package: LockedPackage) -> tuple[str, ...]:
    """The archive that has the package, then whatever else the machine is updated from."""
    own = [parse_mirror(text, "-").uri for text in request.mirrors] or [
        s.uri for s in request.machine.sources
    ]
    # The lock has no names and passwords in its URIs; the machine's own spelling of the same place has.
    from_lock = [uri for uri in own if without_login(uri) == package.archive] or [package.archive]
    return tuple(dict.fromkeys([*from_lock, *own]))


def _make(lock: Lock, blobs: Blobs, lent: tuple[MakeLayer, RunIn], emit: Emit) -> tuple[NewLayer, Lock]:
    started = time.monotonic()
    step = STEP
    emit(StepStarted(step, f"make the base {lock.suite} from {len(lock.packages)} packages"))
    make_layer, run_in = lent
    layer = make_layer()
    making = Making(
        layer,
        blobs,
        run_in,
        emit,
        step,
        lock.packages,
        lock.sources,
        lock.distribution,
        lock.architecture,
        lock.python,
        lock.include,
        lock.epoch if lock.epoch >= 0 else None,
    )
    try:
        epoch = (flavour_build if lock.flavour == "build" else flavour_runtime).make(making)
    except BaseException:
        import shutil

        emit(StepDone(step, "failed", time.monotonic() - started))
        shutil.rmtree(layer.path, ignore_errors=True)
        raise
    emit(StepDone(step, "done", time.monotonic() - started, f"{len(lock.packages)} packages"))
    return layer, msgspec.structs.replace(lock, epoch=epoch)
